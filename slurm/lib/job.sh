# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154  # submit.sh writes the variables in front of this text
# What happens inside a job. slurm/lib/submit.sh copies this text into every job script, so that a script that
# was printed, kept or is waiting in the queue needs nothing of the clone but the program. It reads
#   program   the program                         ranks     how many ranks to start
#   launcher  srun, mpirun or none                mpi       what srun --mpi is told
#   requeues  how often a stopped job may go on   stage     variable or folder of a node's own disk; empty: none
# and defines run_job.

say() { printf '%s %s: %s\n' "$(date +%FT%T)" "job ${SLURM_JOB_ID:-?}" "$*" >&2; }

# give_up CODE MESSAGE HINT
give_up() {
  printf 'error: %s\nhint: %s\n' "$2" "$3" >&2
  exit "$1"
}

# Sets the array `start`: the words before the program's name.
how_to_start() {
  [[ -x $program ]] || give_up 65 "$program cannot be run on $(hostname)" \
    "Put the program on a file system that compute nodes see, and name it with --program."
  if [[ $launcher == none ]]; then
    start=()  # the program starts ranks itself
    return
  fi
  if [[ $launcher == mpirun ]]; then
    command -v mpirun >/dev/null || give_up 76 "there is no mpirun on $(hostname)" \
      "Load the MPI module in a file given with --setup, or use --launcher srun."
    start=(mpirun -n "$ranks")
    return
  fi
  # Since Slurm 22.05 srun does not inherit --cpus-per-task. A rank that dies must not leave the others waiting
  # for ever (--wait), but ranks that stop with a checkpoint end one after another and must not be killed for
  # it (--kill-on-bad-exit=0, which a site may have turned on).
  start=(srun "--mpi=$mpi" "--ntasks=$ranks" "--cpus-per-task=${SLURM_CPUS_PER_TASK:-1}"
    --kill-on-bad-exit=0 --wait=60)
}

# Sets the array `staging`: the program's own key, which copies datasets once per node.
where_to_stage() {
  staging=()
  [[ -n $stage ]] || return 0
  local folder=$stage
  if [[ $stage != /* ]]; then
    folder=${!stage:-}
    [[ -n $folder ]] || give_up 64 "--stage: the variable $stage is not set in jobs of this cluster" \
      "Name a folder on the nodes' own disks: --stage /FOLDER; or leave --stage out."
  fi
  staging=(--data.stage "$folder")
}

# go_on_later: puts this job back into the queue. Slurm takes a script that ends on its own as finished, so the
# script must ask. A job that is being cancelled or preempted is Slurm's to deal with already.
go_on_later() {
  local state
  state=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T 2>/dev/null) || state=UNKNOWN
  if [[ $state != RUNNING ]]; then
    say "stopped with a checkpoint while Slurm ends this job ($state)"
    exit 75
  fi
  if ((${SLURM_RESTART_COUNT:-0} >= requeues)); then
    give_up 75 "the job has been requeued ${SLURM_RESTART_COUNT:-0} times, as often as --requeues allows" \
      "Submit the same command again: it goes on from its checkpoint. Ask for more time per job with --time."
  fi
  say "stopped with a checkpoint; back into the queue (restart $((${SLURM_RESTART_COUNT:-0} + 1)))"
  scontrol requeue "$SLURM_JOB_ID" || give_up 75 "Slurm did not requeue the job" \
    "Submit the same command again: it goes on from its checkpoint."
  exit 75
}

# run_job COMMAND ARGUMENT...: the program on all ranks. Ends the script.
run_job() {
  local -a start staging
  local child="" status=0 stopping=""
  how_to_start
  where_to_stage
  # With --gpus each rank would see its own GPU only; all ranks of a node are to see all, and the program takes
  # the one that is its rank's. (Slurm 22.05 with --gpu-bind=none instead shows them none.)
  unset SLURM_GPUS_PER_TASK
  # LibTorch would start a thread per core in every rank; the program's own threads are train.threads.
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
  say "restart ${SLURM_RESTART_COUNT:-0} on ${SLURM_JOB_NODELIST:-?}: ${start[*]+${start[*]} }$program $*"
  # Slurm's word that time is nearly up (USR1) or that the job must go (TERM) comes to this script; the ranks
  # are told by USR1, which both launchers pass on. mpirun would answer TERM by killing the ranks.
  trap 'stopping=yes; [[ -z $child ]] || kill -USR1 "$child" 2>/dev/null' USR1 TERM
  ${start[@]+"${start[@]}"} "$program" "$@" ${staging[@]+"${staging[@]}"} &
  child=$!
  [[ -z $stopping ]] || kill -USR1 "$child" 2>/dev/null  # came before there was a child to tell
  # A signal interrupts wait, whose result then is not the child's; that of one that is gone can be had again.
  while kill -0 "$child" 2>/dev/null; do
    wait "$child"
  done
  wait "$child" || status=$?
  trap - USR1 TERM
  # 138: the signal came before the program could take it (128 + USR1). Nothing is lost.
  if ((status == 75)) || { ((status == 138)) && [[ -n $stopping ]]; }; then
    go_on_later
  fi
  ((status != 0)) || say "finished"
  exit "$status"
}
