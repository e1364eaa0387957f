# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` lays down: the program, the rooms as static libraries with their public headers, and
# a package, so that another project writes find_package(multigrnformer) and links mgrn::train.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(TARGET multigrnformer)
  set_target_properties(multigrnformer PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
  install(TARGETS multigrnformer RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# A room may consist of more than one library; static ones are needed by whoever links the room, objects are
# inside it already.
set(mgrn_exported mgrn_flags)
foreach(room IN LISTS MGRN_ROOMS)
  get_property(targets DIRECTORY src/${room} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(type ${target} TYPE)
    if(type MATCHES "^(STATIC|INTERFACE)_LIBRARY$")
      string(REGEX REPLACE "^mgrn_" "" name "${target}")
      set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
      list(APPEND mgrn_exported ${target})
    endif()
  endforeach()
endforeach()
install(TARGETS ${mgrn_exported} EXPORT multigrnformer-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/multigrnformer DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")

set(mgrn_package ${CMAKE_INSTALL_LIBDIR}/cmake/multigrnformer)
install(EXPORT multigrnformer-targets NAMESPACE mgrn:: DESTINATION ${mgrn_package})
configure_package_config_file(cmake/multigrnformer-config.cmake.in
  "${PROJECT_BINARY_DIR}/package/multigrnformer-config.cmake" INSTALL_DESTINATION ${mgrn_package})
# Before 1.0 a new minor version may change any signature.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/multigrnformer-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/package/multigrnformer-config.cmake"
  "${PROJECT_BINARY_DIR}/package/multigrnformer-config-version.cmake"
  cmake/MgrnDependencies.cmake cmake/MgrnLibTorch.cmake
  DESTINATION ${mgrn_package})

install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/multigrnformer)
# The scripts that submit jobs and start ranks, in the folders that they have in a clone. They look for the program in
# PREFIX/bin, else in PATH.
install(DIRECTORY slurm DESTINATION ${CMAKE_INSTALL_DATADIR}/multigrnformer USE_SOURCE_PERMISSIONS)
install(PROGRAMS launch/mpirun.sh DESTINATION ${CMAKE_INSTALL_DATADIR}/multigrnformer/launch)
install(FILES launch/lib/common.sh DESTINATION ${CMAKE_INSTALL_DATADIR}/multigrnformer/launch/lib)
install(FILES LICENSE CITATION.cff DESTINATION ${CMAKE_INSTALL_DOCDIR})
