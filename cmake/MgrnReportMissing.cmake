# SPDX-License-Identifier: Apache-2.0
# Ends the configuration when anything is missing, with the whole list: on a cluster each round of "load a
# module, configure again" costs minutes.
if(MGRN_MISSING)
  message(FATAL_ERROR
    "multigrnformer cannot be built yet; missing:${MGRN_MISSING}\n"
    "HINT: Install the packages or load the modules named above (docs/install.md, docs/clusters.md), "
    "delete ${CMAKE_BINARY_DIR}/CMakeCache.txt, and configure again. On Debian, launch/test.sh installs them.")
endif()
