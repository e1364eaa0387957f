#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up, builds and runs the tests: launch/test.sh [arguments of ctest], as in launch/test.sh -L unit -R store.
# The program is then build/release/multigrnformer.
# launch/test.sh -C chaos -L chaos strikes runs at random for ten minutes (docs/faults.md), which nothing else does.
# Variables: launch/setup.sh, and
#
#   MGRN_JOBS=N  build jobs; default: the cores, bounded by 2 GiB of memory each
#   CI=true      warnings are errors
# shellcheck source-path=SCRIPTDIR
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/lib/common.sh"
source "$here/lib/system_packages.sh"
source "$here/lib/python_packages.sh"
source "$here/lib/build.sh"

want_test_packages
set_up_system
set_up_libtorch
set_up_test_python
build all

# ctest -j wins over the variable. A filter that matches nothing is an error: a run of no test proves nothing.
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$(cores)}
log=$MGRN_BUILD/Testing/Temporary/LastTest.log
rm -f "$log"
status=0
ctest --test-dir "$MGRN_BUILD" --output-on-failure --no-tests=error "$@" || status=$?

# ctest names the tests that were skipped and keeps the reasons to itself: each one, and how often it was given.
if [[ -e $log ]]; then
  awk '/: Skipped$/ { if ((getline reason) > 0 && reason != "") count[reason]++ }
       sub(/^skipped: /, "") { count[$0]++ }
       END { for (reason in count) printf "launch: skipped %d: %s\n", count[reason], reason }' "$log" | sort >&2
fi
exit "$status"
