#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up, builds, and runs the whole line on data that `simulate` makes: two samples that share their
# regulation, prepared, one to pretrain on, the other to fine-tune on with two ranks; then the metrics of the
# held-out pairs and a ranked network. About two minutes on two cores after the build.
#
#   launch/demo.sh [--out DIR]    default: build/demo. A former demonstration there is replaced.
#
# Variables: launch/setup.sh and launch/test.sh.
# shellcheck source-path=SCRIPTDIR
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/lib/common.sh"
source "$here/lib/system_packages.sh"
source "$here/lib/python_packages.sh"
source "$here/lib/build.sh"

out=$MGRN_ROOT/build/demo
while (($#)); do
  case $1 in
    --out)
      (($# >= 2)) || fail "--out needs a folder" "Write launch/demo.sh --out DIR."
      out=$2
      shift 2
      ;;
    --help)
      sed -n '3,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) fail "unknown argument '$1'" "Write launch/demo.sh [--out DIR]." ;;
  esac
done
# Only a folder that a demonstration made is emptied.
if [[ -e $out && ! -e $out/.demonstration && -n $(ls -A "$out" 2>/dev/null) ]]; then
  fail "$out exists and is not a demonstration's folder" "Give another folder with --out."
fi

set_up_system
set_up_libtorch
build multigrnformer >&2

rm -rf "$out"
mkdir -p "$out"
touch "$out/.demonstration"
program=$MGRN_BUILD/multigrnformer
# shellcheck source=/dev/null
source "$MGRN_BUILD/mpi_environment.sh"

steps=0
step() {
  steps=$((steps + 1))
  printf '\n== %d. %s\n' "$steps" "$1" >&2
}
# show COMMAND...: prints the command as a person would type it, then runs it.
show() {
  printf '$ %s\n' "${*//$MGRN_ROOT\//}" >&2
  "$@"
}
# metric FILE KEY: one number of a result.json, which has one key on a line.
metric() {
  local number
  number=$(sed -n "s/^ *\"$2\": *\([-+0-9.eE]*\),\{0,1\}\$/\1/p" "$1" | head -n 1)
  [[ -n $number ]] || fail "$1 has no number '$2'" "Report this: the demonstration expects it there."
  printf '%.3f' "$number"
}

# Where ranks cannot be started (a login node that forbids it, a machine without even the loopback interface)
# one process gives the same bytes.
on_ranks=("$MGRN_MPIEXEC" -n 2)
if ! "${on_ranks[@]}" true >/dev/null 2>&1; then
  say "'${on_ranks[*]} true' fails here: going on with one process, which gives the same result"
  on_ranks=()
fi

SECONDS=0
step "Two samples with one regulation: a mouse's to learn from, a human's to apply it to"
# Regulation stronger than a real sample's, and deep sequencing: enough to learn in a minute.
simulated=(--rules_seed 7 --cells 1500 --genes 300 --tfs 40 --density 0.1 --regulation 2 --rna_counts 3000)
show "$program" simulate --organism mouse --seed 1 "${simulated[@]}" --out "$out/mouse"
show "$program" simulate --organism human --seed 2 "${simulated[@]}" --out "$out/human"

step "Quality control, normalisation, regulatory potential"
for sample in mouse human; do
  show "$program" prepare --rna "$out/$sample/multiome.h5" --atac "$out/$sample/multiome.h5" \
    --annotation "$out/$sample/annotation.gtf.gz" --out "$out/$sample.h5"
done

# Negatives of the same degrees as the positives: the network's hubs alone then predict nothing.
common=(--data.genes all --pairs.negatives degree-matched --pairs.seed 1 --model.cells 200
  --train.predictor_learning_rate 0.001)

step "Pretraining on the mouse sample; the human test pairs are left out of it"
show ${on_ranks[@]+"${on_ranks[@]}"} "$program" pretrain "${common[@]}" --data.dataset "$out/mouse.h5" \
  --data.network "$out/mouse/network.csv" --data.tfs "$out/mouse/tfs.csv" \
  --cross.target "$out/human.h5" --train.epochs 40 --out "$out/pretrained"

step "Fine-tuning on the human sample${on_ranks[*]:+, on two ranks}"
show ${on_ranks[@]+"${on_ranks[@]}"} "$program" finetune "${common[@]}" --data.dataset "$out/human.h5" \
  --data.network "$out/human/network.csv" --data.tfs "$out/human/tfs.csv" \
  --train.init "$out/pretrained/model.safetensors" --train.epochs 40 --out "$out/finetuned"

step "The metrics again, from the predictions in the run's folder"
show "$program" evaluate --run "$out/finetuned" >"$out/evaluation.json"

step "A score for every candidate TF-gene pair"
show ${on_ranks[@]+"${on_ranks[@]}"} "$program" predict --run "$out/finetuned" --out "$out/network" >&2

printf '\n'
printf '%-42s %8s\n' "test pairs of the human sample" "value"
row() { printf '%-42s %8s\n' "$1" "$(metric "$out/finetuned/result.json" "$2")"; }
row "AUROC" auroc
row "AUROC of the degree-only control" degree_auroc
row "AUROC within one TF" within_tf_auroc
row "average precision" average_precision
row "average precision of the degree control" degree_average_precision
row "average precision of a random order" random_auprc
printf '\nrun         %s\nmetrics     %s\nnetwork     %s\ndatasets    %s\ntook        %d s\n' \
  "$out/finetuned" "$out/finetuned/result.json" "$out/network/rankedEdges.csv" "$out/mouse.h5, $out/human.h5" "$SECONDS"
