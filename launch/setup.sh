#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what multigrnformer needs and builds nothing: packages of the system (as root or with sudo), LibTorch
# and the tests' Python libraries (into a cache of the user's own). launch/test.sh and launch/demo.sh do this
# themselves; alone it serves a login node with network before a build on a node without.
#
#   MGRN_SYSTEM=skip  installs nothing on the system, needs no root
#   MGRN_DEPS=DIR     the cache; default ${XDG_CACHE_HOME:-~/.cache}/multigrnformer
#   TORCH_ROOT=DIR    an installed LibTorch 2; also found along CMAKE_PREFIX_PATH
# shellcheck source-path=SCRIPTDIR
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/lib/common.sh"
source "$here/lib/system_packages.sh"
source "$here/lib/python_packages.sh"

want_test_packages
set_up_system
set_up_libtorch
set_up_test_python
say "ready; LibTorch: ${TORCH_ROOT:-as CMake finds it}"
