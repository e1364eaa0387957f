# SPDX-License-Identifier: Apache-2.0
# cmake -DBUILD= -DPREFIX= -DCONSUMER= -P lay_down.cmake: installs BUILD into an empty PREFIX and looks at it.
file(REMOVE_RECURSE "${PREFIX}" "${CONSUMER}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${PREFIX}"
                RESULT_VARIABLE status OUTPUT_QUIET)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "cmake --install ended with ${status}; is the whole project built?")
endif()

file(GLOB_RECURSE package "${PREFIX}/*/multigrnformer-config.cmake")
if(NOT package)
  message(FATAL_ERROR "no multigrnformer-config.cmake below ${PREFIX}")
endif()

# A path of the build tree in the package would break when that tree is deleted.
get_filename_component(folder "${package}" DIRECTORY)
file(GLOB files "${folder}/*.cmake")
foreach(file IN LISTS files)
  file(READ "${file}" text)
  string(FIND "${text}" "${BUILD}/src" place)
  if(NOT place EQUAL -1)
    message(FATAL_ERROR "${file} names the build tree")
  endif()
endforeach()
