#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One job that runs the program on many ranks: slurm/submit-train.sh --help, docs/slurm.md.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib/submit.sh"

own_help() {
  cat <<'END'
Submits one job that runs multigrnformer on many ranks. It stops with a checkpoint before its time is up, goes back
into the queue and on from there until it is finished; likewise when it is preempted or its node fails.

  slurm/submit-train.sh OPTIONS -- COMMAND ARGUMENT...
  slurm/submit-train.sh --nodes 2 --ranks-per-node 16 --time 2:00:00 -- train --config run.ini --out run

COMMAND is any of the program's: train, pretrain, finetune, predict, prepare, doctor, ... Try doctor with the same
options first. The job's number goes to stdout. Paths count from the folder in which you stand.
END
}

read_options "$@"
((${#command_words[@]})) || fail 64 "there is no command for the program" \
  "Put it behind --, as in ${0##*/} --time 2:00:00 -- train --config run.ini --out run."
[[ ${command_words[0]} != grid ]] || fail 64 "a grid is an array of jobs" "Use slurm/submit-grid.sh."
case ${command_words[0]} in
  train | pretrain | finetune) ;;
  *) [[ -z $stage ]] || fail 64 "--stage is for train, pretrain and finetune; ${command_words[0]} reads datasets in place" \
    "Leave --stage out." ;;
esac
check_options
check_gpus "${command_words[@]}"
[[ -n $dry_run ]] || check_cluster
: "${job_name:=${command_words[0]}}"
: "${job_log:=slurm-%x-%j.out}"
quote_words "${command_words[@]}"
submit "${quoted[@]}"
