# SPDX-License-Identifier: Apache-2.0
# cmake -DSCRIPTS= -DPROGRAM= -DMPIRUN= -P start_scripts.cmake: what the installed scripts would start is PROGRAM.
set(grid "${CMAKE_CURRENT_BINARY_DIR}/planned_grid")
file(REMOVE_RECURSE "${grid}")

# starts(TEXT SCRIPT OPTION...): its dry run prints TEXT.
function(starts text script)
  execute_process(COMMAND "${SCRIPTS}/${script}" ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output
                  ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${script} ended with ${status}: ${errors}")
  endif()
  string(FIND "${output}" "${text}" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "${script} does not start ${PROGRAM}: ${output}")
  endif()
endfunction()

starts("\nprogram=${PROGRAM}\n" slurm/submit-train.sh --time 10 --dry-run -- doctor)
starts("\nprogram=${PROGRAM}\n" slurm/submit-pretrain-finetune.sh --time 10 --dry-run --
       pretrain --out pre -- finetune --out fine)
# Which plans with it, too.
starts("\nprogram=${PROGRAM}\n" slurm/submit-grid.sh --time 10 --dry-run --jobs 2
       --config "${SCRIPTS}/configs/smoke.ini" --out "${grid}")
if(NOT EXISTS "${grid}/plan.json")
  message(FATAL_ERROR "submit-grid.sh planned no grid in ${grid}")
endif()
file(REMOVE_RECURSE "${grid}")
starts(" ${PROGRAM} doctor" launch/mpirun.sh --mpirun "${MPIRUN}" --dry-run -- doctor)
