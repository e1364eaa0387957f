# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every launch script starts with: strictness, messages, the folders. Sourced.
set -euo pipefail

MGRN_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck disable=SC2034  # read by build.sh, test.sh and demo.sh
MGRN_BUILD=$MGRN_ROOT/build/release

# HOME may be unset (cron, chroot); the shell still knows the user's own folder.
mgrn_home=${HOME:-$(cd ~ && pwd)}
MGRN_DEPS=${MGRN_DEPS:-${XDG_CACHE_HOME:-$mgrn_home/.cache}/multigrnformer}
[[ $MGRN_DEPS == /* ]] || MGRN_DEPS=$PWD/$MGRN_DEPS
[[ -z ${TORCH_ROOT:-} || $TORCH_ROOT == /* ]] || TORCH_ROOT=$PWD/$TORCH_ROOT

say() { printf 'launch: %s\n' "$*" >&2; }

# fail MESSAGE HINT: says what is wrong and the next step, and ends the script.
fail() {
  printf 'error: %s\n' "$1" >&2
  printf 'hint: %s\n' "$2" >&2
  exit 1
}

# MGRN_SYSTEM=skip: nothing is installed on the system, no root is needed.
system_is_ours() { [[ ${MGRN_SYSTEM:-} != skip ]]; }

if [[ -n ${MGRN_SYSTEM:-} && $MGRN_SYSTEM != skip && $MGRN_SYSTEM != install ]]; then
  fail "MGRN_SYSTEM is '$MGRN_SYSTEM': expected install (the default) or skip" "Unset MGRN_SYSTEM or set it to skip."
fi
