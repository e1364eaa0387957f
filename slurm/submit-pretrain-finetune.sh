#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two jobs, the second of which waits for the first: slurm/submit-pretrain-finetune.sh --help, docs/slurm.md.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib/submit.sh"

own_help() {
  cat <<'END'
Submits two jobs: pretrain, and finetune that starts when the first is finished, from the weights it leaves. Each
stops with a checkpoint before its time is up and goes on by itself; the second waits for as long as that takes, and
is cancelled if the first fails.

  slurm/submit-pretrain-finetune.sh OPTIONS -- pretrain ARGUMENT... -- finetune ARGUMENT...
  slurm/submit-pretrain-finetune.sh --nodes 2 --ranks-per-node 16 --time 2:00:00 -- \
      pretrain --config pretrain.ini --cross.target d.h5 --out pretrained -- \
      finetune --config finetune.ini --data.dataset d.h5 --out finetuned

pretrain needs --out on the command line. finetune's --train.init is filled in. Both jobs' numbers go to stdout.
END
}

read_options "$@"
first=()
second=()
seen=""
for word in ${command_words[@]+"${command_words[@]}"}; do
  if [[ $word == -- && -z $seen ]]; then
    seen=yes
  elif [[ -z $seen ]]; then
    first+=("$word")
  else
    second+=("$word")
  fi
done
[[ ${first[0]:-} == pretrain && ${second[0]:-} == finetune ]] || fail 64 \
  "expected -- pretrain ARGUMENT... -- finetune ARGUMENT..., got -- ${command_words[*]:-nothing}" "See ${0##*/} --help."
out=$(value_of out "${first[@]}")
[[ -n $out ]] || fail 64 "pretrain has no --out on the command line" "Add --out DIR behind pretrain."
weights=$out/model.safetensors
given=$(value_of train.init "${second[@]}")
[[ -z $given || $given == "$weights" ]] || fail 64 \
  "finetune is to start from $given, and pretrain writes $weights" "Leave --train.init out."
[[ -n $given ]] || second+=(--train.init "$weights")
check_options
check_gpus "${first[@]}"
check_gpus "${second[@]}"
[[ -n $dry_run ]] || check_cluster
: "${job_log:=slurm-%x-%j.out}"
name=$job_name
job_name=${name:+$name-}pretrain
quote_words "${first[@]}"
submit "${quoted[@]}"
# A requeued job is the same job: this waits until it is really finished.
job_dependency=afterok:$job
job_name=${name:+$name-}finetune
quote_words "${second[@]}"
submit "${quoted[@]}"
