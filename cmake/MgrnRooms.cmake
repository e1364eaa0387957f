# SPDX-License-Identifier: Apache-2.0
# The house: every room and the rooms it may include. Linking follows this table, and the test
# `structure.includes` holds every #include against it.
set(MGRN_ROOMS base formats comm store prepare simulate pairs model evaluate train baselines experiments cli)
set(MGRN_MAY_INCLUDE_base)
set(MGRN_MAY_INCLUDE_formats base)
set(MGRN_MAY_INCLUDE_comm base)
set(MGRN_MAY_INCLUDE_store base formats comm)
set(MGRN_MAY_INCLUDE_prepare base formats comm store)
set(MGRN_MAY_INCLUDE_simulate base formats)
set(MGRN_MAY_INCLUDE_pairs base formats comm store)
set(MGRN_MAY_INCLUDE_model base)
set(MGRN_MAY_INCLUDE_evaluate base formats comm pairs)
set(MGRN_MAY_INCLUDE_train base formats comm store pairs model evaluate)
set(MGRN_MAY_INCLUDE_baselines base formats comm store pairs model evaluate train)
set(MGRN_MAY_INCLUDE_experiments base formats comm store prepare simulate pairs model evaluate train baselines)
set(MGRN_MAY_INCLUDE_cli base formats comm store prepare simulate pairs model train evaluate baselines experiments)

# mgrn_add_room(NAME SOURCES file... [LINK target...]): the static library mgrn::NAME, linked to the
# rooms it may include and, privately, to the outside packages it names.
function(mgrn_add_room name)
  cmake_parse_arguments(room "" "" "SOURCES;LINK" ${ARGN})
  add_library(mgrn_${name} STATIC ${room_SOURCES})
  add_library(mgrn::${name} ALIAS mgrn_${name})
  set_target_properties(mgrn_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(mgrn_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
  target_link_libraries(mgrn_${name} PUBLIC mgrn::flags PRIVATE $<BUILD_INTERFACE:mgrn::warnings> ${room_LINK})
  foreach(other IN LISTS MGRN_MAY_INCLUDE_${name})
    target_link_libraries(mgrn_${name} PUBLIC mgrn::${other})
  endforeach()
endfunction()
