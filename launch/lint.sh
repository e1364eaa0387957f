#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Holds the source against its rules: clang-format, shellcheck, and clang-tidy with the checks of .clang-tidy.
# Changes nothing; any finding is a failure.
#
#   launch/lint.sh [FILE...]    clang-tidy over these sources alone; default: all of src/. That takes about
#                               ten seconds a file and core.
#
# Needs clang-format 14, clang-tidy 14 and shellcheck (Debian: clang-format-14 clang-tidy-14 shellcheck).
# Variables: launch/test.sh.
# shellcheck source-path=SCRIPTDIR
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/lib/common.sh"
source "$here/lib/system_packages.sh"
source "$here/lib/python_packages.sh"
source "$here/lib/build.sh"

if [[ ${1:-} == --help ]]; then
  sed -n '3,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 0
fi

# clang_tidy: prints its path. Another version knows other checks.
clang_tidy() {
  local name
  for name in clang-tidy-14 clang-tidy; do
    if command -v "$name" >/dev/null && "$name" --version | grep -q 'version 14\.'; then
      command -v "$name"
      return
    fi
  done
  fail "no clang-tidy 14 here" "Install clang-tidy-14."
}

sources=("$@")
for file in "${sources[@]}"; do
  [[ -f $file ]] || fail "there is no file $file" "Name sources below src/, or none for all of them."
done
((${#sources[@]})) || mapfile -t sources < <(find "$MGRN_ROOT/src" -name '*.cpp' | sort)

tidy=$(clang_tidy)
set_up_system
set_up_libtorch
mkdir -p "$MGRN_BUILD"
configure >&2

failed=()
for tool in clang-format shellcheck; do
  say "$tool"
  status=0
  python3 -B "$MGRN_ROOT/tests/structure/outside_tools.py" "$tool" "$MGRN_ROOT" || status=$?
  ((status != 77)) || fail "$tool cannot be run here" "Install what is named above."
  ((status == 0)) || failed+=("$tool")
done

# The database holds GCC's command lines; a warning that only GCC knows is no finding. Sources of which the
# database knows nothing (kernels of another processor) are left out.
say "clang-tidy over ${#sources[@]} files"
known=()
for file in "${sources[@]}"; do
  ! grep -qF "\"file\": \"$(realpath "$file")\"" "$MGRN_BUILD/compile_commands.json" || known+=("$file")
done
((${#known[@]})) || fail "none of these files is compiled in $MGRN_BUILD" "Name sources (.cpp) below src/."
printf '%s\0' "${known[@]}" |
  xargs -0 -n 1 -P "$(build_jobs)" "$tidy" -p "$MGRN_BUILD" --quiet --warnings-as-errors='*' \
    --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument \
    --extra-arg=-Wno-ignored-attributes 2> >(grep -v 'warnings\? generated\.$' >&2) ||
  failed+=(clang-tidy)

((${#failed[@]} == 0)) || fail "findings of ${failed[*]} above" "Mend them, or exclude a check with its reason in .clang-tidy."
say "nothing found"
