#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A grid as an array of jobs: slurm/submit-grid.sh --help, docs/slurm.md.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib/submit.sh"

grid_config=""
grid_out=""
grid_jobs=""
grid_at_once=""
grid_isolate=""
grid_ranks_per_task=""

own_help() {
  cat <<'END'
Plans a grid and submits it as an array of jobs, each of which takes a share of the tasks. A task that fails harms
no other. Submitted again, it runs what is not done yet.

  slurm/submit-grid.sh OPTIONS --config GRID.ini --out DIR
  slurm/submit-grid.sh --time 8:00:00 --ranks-per-node 4 --config configs/paper/benchmark.ini --out results

The grid:
  --config GRID.ini      the grid file
  --out DIR              where tasks and results go
  --jobs N               so many jobs (one per task, as far as MaxArraySize of the cluster allows)
  --at-once N            no more jobs than this at the same time
  --ranks-per-task K     ranks that work on one task (1)
  --isolate yes          each task as a job step of its own: a task that is killed harms nobody

END
}

own_option() {
  case $1 in
    --config) grid_config=$2 ;;
    --out) grid_out=$2 ;;
    --jobs) need_number "$1" "$2" 1 && grid_jobs=$2 ;;
    --at-once) need_number "$1" "$2" 1 && grid_at_once=$2 ;;
    --ranks-per-task) need_number "$1" "$2" 1 && grid_ranks_per_task=$2 ;;
    --isolate) [[ $2 == yes || $2 == no ]] || fail 64 "--isolate: expected yes or no, got '$2'" "Write --isolate yes." && grid_isolate=$2 ;;
    *) return 1 ;;
  esac
}

# count_tasks: how many there are in the plan.
count_tasks() {
  find "$grid_out/tasks" -mindepth 1 -maxdepth 1 -type d 2>/dev/null | wc -l
}

# largest_array: how many elements an array may have. The largest index is one less than MaxArraySize, and the first
# is 0.
largest_array() {
  local size
  size=$(scontrol show config | sed -n 's/^MaxArraySize *= *\([0-9]*\)$/\1/p')
  [[ -n $size ]] || fail 76 "scontrol does not tell MaxArraySize" "Give --jobs N."
  printf '%s\n' "$size"
}

read_options "$@"
((${#command_words[@]} == 0)) || fail 64 "unexpected: -- ${command_words[*]}" \
  "The program's keys belong into the grid file; see ${0##*/} --help."
[[ -z $stage ]] || fail 64 "--stage is not for grids, whose keys stand in the grid file" "Set data.stage there."
[[ -n $grid_config ]] || fail 64 "--config is missing" "Name the grid file."
[[ -r $grid_config ]] || fail 65 "$grid_config cannot be read" "Name the grid file with --config."
[[ -n $grid_out ]] || fail 64 "--out is missing" "Name the folder for tasks and results."
: "${job_name:=grid}"
: "${job_log:=slurm-%x-%A_%a.out}"
check_options
[[ -z $dry_run ]] && check_cluster
# Planning is quick, and finds what is wrong with the grid file before anything waits in a queue.
"$program" grid plan --config "$grid_config" --out "$grid_out" >&2 || exit
tasks=$(count_tasks)
((tasks > 0)) || fail 65 "the plan in $grid_out has no tasks" "Look at $grid_config."
# With --jobs a dry run needs no Slurm.
jobs=${grid_jobs:-$tasks}
((jobs <= tasks)) || jobs=$tasks
if [[ -z $dry_run || -z $grid_jobs ]]; then
  most=$(largest_array)
  if ((jobs > most)); then
    [[ -z $grid_jobs ]] || fail 64 "--jobs $jobs: this cluster allows arrays of at most $most jobs (MaxArraySize)" "Leave --jobs out."
    jobs=$most
  fi
fi
say "$tasks tasks in $jobs jobs of $(((tasks + jobs - 1) / jobs)) at most"
job_array=0-$((jobs - 1))${grid_at_once:+%$grid_at_once}
quote_words grid run --out "$grid_out" ${grid_ranks_per_task:+--ranks-per-task "$grid_ranks_per_task"}
isolated=()
if [[ $grid_isolate == yes ]]; then
  quoted+=(--isolate)
  # The program is started without a launcher and starts the ranks of each task itself.
  case $launcher in
    srun) each="srun --exact --mpi=$mpi --ntasks={ranks} --cpus-per-task=$job_cpus_per_rank" ;;
    mpirun) each="mpirun -n {ranks}" ;;
  esac
  isolated=(--launcher "$(printf '%q' "$each")")
  launcher=none
fi
# The share is the job's own to know. Shares count from 0, like the array.
submit "${quoted[@]}" --chunk "\"\$SLURM_ARRAY_TASK_ID/$jobs\"" ${isolated[@]+"${isolated[@]}"}
