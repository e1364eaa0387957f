#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compares the program with what else one could use, on the same cores, by turns in each round:
#
#   step  whole training steps: PyTorch (the best of several ways to write the model), the linear-time engine,
#         the quadratic engine; on 1 thread, 2 threads, 2 ranks of 1 thread
#   rp    the regulatory potential: SciPy's sparse matrices on one core; time and memory
#   neural  CNNC and STGRNS on one core: PyTorch's step, and inputs that numpy makes and that pass through files; only
#         when asked for
#   trees GENIE3 and GRNBoost2 on one core: scikit-learn with arboreto's settings; needs --dataset
#
#   launch/compare.sh [step] [rp] [neural] [trees] [--quick] [--cells N,...] [--batch N] [--rounds N]
#                     [--seconds X]
#                     [--variant NAME] [--engine NAME,...] [--cores LIST] [--out DIR]
#                     [--dataset F --network F --tfs F [--genes N] | --run DIR]
#
# --quick measures for 2 s instead of 10 s and leaves out torch.compile, which otherwise takes part where a
# compiler and Python's headers are. --variant: one of tests/benchmarks/pytorch_peer.py. --engine: of this program's;
# default linear,quadratic. With --dataset its steps train on that data instead of data made in memory, with --run on a
# finished run's data and weights (--cells must be its N): what PyTorch takes does not depend on values. The lines as
# they were printed stay in DIR, default build/compare. Variables: launch/setup.sh, and
#
#   MGRN_PEER_PYTHON=PYTHON  an interpreter that has PyTorch; else one is set up in MGRN_DEPS
#   MGRN_DATA=DIR            real data for rp: mouse_cortex_snare and annotation; default: beside the clone
# shellcheck source-path=SCRIPTDIR
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/lib/common.sh"
source "$here/lib/system_packages.sh"
source "$here/lib/python_packages.sh"
source "$here/lib/build.sh"

parts=() cells=500,1000,2000 batch=128 rounds=5 seconds=10 variant=best cores='' out=$MGRN_ROOT/build/compare
dataset='' network='' tfs='' genes=500 run='' engine=linear,quadratic
sizes=(--cells 6000 --genes 4000 --peaks 80000 --tfs 100)
while (($#)); do
  case $1 in
    step | rp | neural | trees) parts+=("$1") ;;
    --quick) rounds=3 seconds=2 variant=eager sizes=(--cells 2000 --genes 2000 --peaks 40000 --tfs 50) ;;
    --cells | --batch | --rounds | --seconds | --variant | --cores | --out | --dataset | --network | --tfs | --genes | --run | --engine)
      (($# >= 2)) || fail "$1 needs a value" "launch/compare.sh --help shows the usage."
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    --help)
      sed -n '3,24s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) fail "unknown argument '$1'" "launch/compare.sh --help shows the usage." ;;
  esac
  shift
done
((${#parts[@]})) || parts=(step rp)
for number in "$batch" "$rounds"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || fail "'$number' is not a whole number from 1" "Give --batch and --rounds such."
done
[[ $cells =~ ^[1-9][0-9]*(,[1-9][0-9]*)*$ ]] || fail "'$cells' is no list of cells" "Write --cells 500,1000."

step_data=()
if [[ -n $dataset ]]; then
  for file in "$dataset" "$network" "$tfs"; do
    [[ -r $file ]] || fail "cannot read '$file'" "--dataset needs --network and --tfs beside it, all of them files."
  done
  step_data=(--dataset "$dataset" --network "$network" --tfs "$tfs" --genes "$genes")
elif [[ -n $run ]]; then
  [[ -d $run && $cells != *,* ]] || fail "--run wants a run's folder, and --cells its number of cells" \
    "Give --run DIR --cells N."
  step_data=(--run "$run")
fi
[[ $engine =~ ^(linear|quadratic)(,(linear|quadratic))?$ ]] || fail "'$engine' is no list of engines" \
  "Write --engine linear,quadratic."

set_up_system
set_up_libtorch
build multigrnformer >&2
program=$MGRN_BUILD/multigrnformer
# shellcheck source=/dev/null
source "$MGRN_BUILD/mpi_environment.sh"
mkdir -p "$out"

# The cores this shell may use, one a word.
allowed_cores() {
  local range
  taskset -pc $$ | sed 's/.*: //' | tr ',' '\n' | while read -r range; do seq "${range%-*}" "${range#*-}"; done
}
[[ -n $cores ]] || cores=$(allowed_cores | paste -sd,)
IFS=, read -r -a core_list <<<"$cores"
# on N COMMAND...: on the first N of them.
on() {
  local count=$1
  shift
  taskset -c "$(IFS=,; printf '%s' "${core_list[*]:0:count}")" "$@"
}

# figure KEY: a number of the line of JSON on stdin.
figure() { sed -n "s/.*\"$1\":\([-+0-9.eE]*\)[,}].*/\1/p"; }
# spread: least, middle and largest of the numbers on stdin.
spread() {
  sort -g | awk '{ v[NR] = $1 } END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
    printf "%.3g %.3g %.3g", v[1], m, v[NR] }'
}
# ratios FILE_A FILE_B: line by line, a / b.
ratios() { paste "$1" "$2" | awk '$2 > 0 { print $1 / $2 }'; }

peer_process='' pipes=''
stop_peer() {
  if [[ -n $peer_process ]]; then
    { exec {to_peer}>&-; exec {from_peer}<&-; } 2>/dev/null || true
    kill "$peer_process" 2>/dev/null || true
    wait "$peer_process" 2>/dev/null || true
    peer_process=''
  fi
  [[ -z $pipes ]] || rm -rf "$pipes"
  pipes=''
}

# start_peer CORES ARGUMENT...: PyTorch, waiting for a line before each round. Sets peer_variant.
start_peer() {
  local count=$1 ready=''
  shift
  pipes=$(mktemp -d)
  mkfifo "$pipes/in" "$pipes/out"
  on "$count" "${mgrn_peer[@]}" "$MGRN_ROOT/tests/benchmarks/pytorch_peer.py" --serve --batch "$batch" \
    --seconds "$seconds" "$@" <"$pipes/in" >"$pipes/out" 2>>"$out/pytorch.log" &
  peer_process=$!
  exec {to_peer}>"$pipes/in" {from_peer}<"$pipes/out"
  read -r -u "$from_peer" ready || fail "PyTorch did not start" "Read $out/pytorch.log."
  peer_variant=$(sed -n 's/.*"variant": *"\([^"]*\)".*/\1/p' <<<"$ready")
}

own_step() {  # own_step ENGINE N THREADS RANKS
  local -a launch=() shape=(--cells-per-sample "$2")
  (($4 == 1)) || launch=("$MGRN_MPIEXEC" -n "$4")
  [[ -z $run ]] || shape=()
  on $(($3 * $4)) ${launch[@]+"${launch[@]}"} "$program" bench --stage step --engine "$1" \
    ${shape[@]+"${shape[@]}"} --threads "$3" --batch "$batch" --seconds "$seconds" --rounds 1 \
    ${step_data[@]+"${step_data[@]}"} --log-level warning 2>>"$out/bench.log" </dev/null |
    grep '"stage":"step"'
}

compare_steps() {
  local n setting threads ranks lines round name best
  trap stop_peer EXIT   # here, since a pipeline's parts are shells of their own
  printf '\nTraining steps, samples/s; batch %s, %s rounds of %s s; ratios as least / middle / largest of the rounds\n' \
    "$batch" "$rounds" "$seconds"
  printf '%5s %-9s %-22s %9s %9s %9s   %-20s %-20s\n' N "ranks x t" "PyTorch" "PyTorch" linear quadratic \
    "linear / PyTorch" "linear / quadratic"
  for n in ${cells//,/ }; do
    best=$variant
    for setting in 1,1 2,1 1,2; do
      IFS=, read -r threads ranks <<<"$setting"
      ((${#core_list[@]} >= threads * ranks)) || continue
      lines=$out/step-n$n-threads$threads-ranks$ranks
      rm -f "$lines".*
      peer_variant='-'
      ((${#mgrn_peer[@]} == 0)) ||
        start_peer $((threads * ranks)) --cells "$n" --threads "$threads" --ranks "$ranks" --variant "$best"
      # The search for the best way is made once for each N.
      ((${#mgrn_peer[@]} == 0)) || best=$peer_variant
      for ((round = 1; round <= rounds; ++round)); do
        say "N = $n, $ranks x $threads, round $round of $rounds"
        if ((${#mgrn_peer[@]})); then
          printf '\n' >&"$to_peer"
          read -r -u "$from_peer" line || fail "PyTorch ended early" "Read $out/pytorch.log."
          tee -a "$lines.jsonl" <<<"$line" | figure median >>"$lines.pytorch"
        fi
        for name in ${engine//,/ }; do
          own_step "$name" "$n" "$threads" "$ranks" | tee -a "$lines.jsonl" | figure median >>"$lines.$name"
        done
      done
      stop_peer
      touch "$lines".{pytorch,linear,quadratic}
      middle() { local -a s; read -r -a s <<<"$(spread <"$1")"; printf '%s' "${s[1]:--}"; }
      local to_pytorch='- - -' to_quadratic='- - -'
      [[ ! -s $lines.pytorch ]] || to_pytorch=$(ratios "$lines.linear" "$lines.pytorch" | spread)
      [[ ! -s $lines.quadratic ]] || to_quadratic=$(ratios "$lines.linear" "$lines.quadratic" | spread)
      printf '%5s %-9s %-22s %9s %9s %9s   %-20s %-20s\n' "$n" "$ranks x $threads" "$peer_variant" \
        "$(middle "$lines.pytorch")" "$(middle "$lines.linear")" "$(middle "$lines.quadratic")" \
        "${to_pytorch// / / }" "${to_quadratic// / / }"
      rm -f "$lines.pytorch" "$lines.linear" "$lines.quadratic"
    done
  done
}

# one_rp NAME MATRIX ANNOTATION
one_rp() {
  local lines=$out/rp-$1 round measure
  rm -f "$lines".*
  for ((round = 1; round <= rounds; ++round)); do
    say "regulatory potential, $1, round $round of $rounds"
    on 1 "$python" "$MGRN_ROOT/tests/benchmarks/scipy_rp.py" "$2" "$3" --seconds "$seconds" --rounds 1 \
      2>>"$out/scipy.log" >>"$lines.scipy.jsonl"
    on 1 "$program" bench --stage rp --rna "$2" --annotation "$3" --seconds "$seconds" --rounds 1 \
      --log-level warning 2>>"$out/bench.log" | grep '"stage":"rp"' >>"$lines.own.jsonl"
  done
  # The two must have computed the same.
  paste <(figure sum <"$lines.own.jsonl") <(figure sum <"$lines.scipy.jsonl") |
    awk -v name="$1" '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-9 * $1) { print name ": sums differ: " $0; bad = 1 } }
      END { exit bad }' >&2 || fail "the two programs' potentials differ on $1" "Look at $lines.*.jsonl."
  for measure in "all" "cells of peaks" "weights of peaks" "sums of cells" \
    "memory beyond the inputs" "peak memory of the process"; do
    grep "\"measure\":\"$measure" "$lines.scipy.jsonl" | figure median >"$lines.a"
    grep "\"measure\":\"$measure" "$lines.own.jsonl" | figure median >"$lines.b"
    local better unit ratio
    unit=$(grep -m 1 "\"measure\":\"$measure" "$lines.own.jsonl" | sed 's/.*"unit":"\([^"]*\)".*/\1/')
    # Of rates ours over theirs, of times and memory theirs over ours: above 1 is to our advantage.
    if [[ $unit == */s ]]; then
      better=$(ratios "$lines.b" "$lines.a" | spread)
    else
      better=$(ratios "$lines.a" "$lines.b" | spread)
    fi
    ratio=${better// / / }
    local -a theirs ours
    read -r -a theirs <<<"$(spread <"$lines.a")"
    read -r -a ours <<<"$(spread <"$lines.b")"
    printf '%-20s %-28s %-14s %10s %10s   %s\n' "$1" "$measure" "$unit" "${theirs[1]}" "${ours[1]}" "$ratio"
  done
  rm -f "$lines.a" "$lines.b"
}

compare_potentials() {
  local data=${MGRN_DATA:-$MGRN_ROOT/../shared/data}
  set_up_test_python
  python=$(test_python)
  if [[ -z $python ]]; then
    say "no environment with SciPy: the regulatory potential is left out"
    return
  fi
  printf '\nRegulatory potential on one core; %s rounds of %s s; above 1 is to the advantage of multigrnformer\n' \
    "$rounds" "$seconds"
  printf '%-20s %-28s %-14s %10s %10s   %s\n' data measure unit SciPy own "ratio least / middle / largest"
  if [[ -e $data/mouse_cortex_snare/feature_bc_matrix.h5 ]]; then
    one_rp mouse_cortex_snare "$data/mouse_cortex_snare/feature_bc_matrix.h5" "$data/annotation/mm10.refGene.tsv.gz"
  else
    say "no mouse_cortex_snare in $data: left out (MGRN_DATA=DIR)"
  fi
  local simulated=$out/simulated-${sizes[1]}-${sizes[3]}-${sizes[5]}
  if [[ ! -e $simulated/multiome.h5 ]]; then
    rm -rf "$simulated"
    on 1 "$program" simulate --seed 1 "${sizes[@]}" --out "$simulated" --log-level warning >&2
  fi
  one_rp simulated "$simulated/multiome.h5" "$simulated/annotation.gtf.gz"
}

# Samples/s of one epoch of which each sample is built once: 1 / (1 / inputs + 1 / step), line by line.
one_pass() { paste "$1" "$2" | awk '$1 > 0 && $2 > 0 { print 1 / (1 / $1 + 1 / $2) }'; }

compare_networks() {
  local method round measure name lines better
  local -a theirs ours
  if ((${#mgrn_peer[@]} == 0)); then
    say "no interpreter with PyTorch: the baseline networks are left out"
    return
  fi
  printf '\nBaseline networks on one core, samples/s; %s rounds of %s s; ratios as least / middle / largest of the rounds\n' \
    "$rounds" "$seconds"
  printf '%-8s %-34s %10s %10s   %s\n' method measure PyTorch own "own / PyTorch"
  for method in cnnc stgrns; do
    lines=$out/neural-$method
    rm -f "$lines".*
    for ((round = 1; round <= rounds; ++round)); do
      say "$method, round $round of $rounds"
      on 1 "${mgrn_peer[@]}" "$MGRN_ROOT/tests/benchmarks/neural_baselines_peer.py" "$method" "$seconds" \
        2>>"$out/pytorch.log" >>"$lines.pytorch.jsonl"
      on 1 "$MGRN_BUILD/tests/benchmarks/neural_speed" "$method" "$seconds" 2>>"$out/bench.log" >>"$lines.own.jsonl"
    done
    for measure in pytorch own; do
      grep '"measure":"inputs"' "$lines.$measure.jsonl" | figure median >"$lines.inputs.$measure"
      grep '"measure":"step"' "$lines.$measure.jsonl" | figure median >"$lines.step.$measure"
    done
    grep "\"measure\":\"authors' step\"" "$lines.pytorch.jsonl" | figure median >"$lines.authors"
    # Our step makes its inputs itself.
    one_pass "$lines.inputs.pytorch" "$lines.authors" >"$lines.both.pytorch"
    cp "$lines.step.own" "$lines.both.own"
    for measure in inputs step both; do
      read -r -a theirs <<<"$(spread <"$lines.$measure.pytorch")"
      read -r -a ours <<<"$(spread <"$lines.$measure.own")"
      better=$(ratios "$lines.$measure.own" "$lines.$measure.pytorch" | spread)
      case $measure in
        inputs) name="inputs (PyTorch: through files)" ;;
        step) name="step (own: inputs included)" ;;
        both) name="the authors' way, one epoch" ;;
      esac
      printf '%-8s %-34s %10s %10s   %s\n' "$method" "$name" "${theirs[1]}" "${ours[1]}" "${better// / / }"
    done
    rm -f "$lines".{inputs,step,both}.{pytorch,own} "$lines.authors"
  done
}

# Without numbers of its own: trees_peer.py prints a line per round, and what came out in the end.
compare_trees() {
  [[ -n $dataset ]] || fail "trees are compared on a dataset" "Give --dataset, --network and --tfs."
  set_up_test_python
  python=$(test_python)
  if [[ -z $python ]]; then
    say "no environment with scikit-learn: the trees are left out"
    return
  fi
  on 1 "$python" "$MGRN_ROOT/tests/benchmarks/trees_peer.py" --program "$program" --dataset "$dataset" \
    --network "$network" --tfs "$tfs" --rounds "$rounds"
}

"$program" bench --stage adam --seconds 0.01 --rounds 1 --log-level warning 2>>"$out/bench.log" |
  sed -n 1p | tee "$out/machine.jsonl" >&2
for part in "${parts[@]}"; do
  case $part in
    step)
      set_up_peer
      compare_steps | tee "$out/step.txt"
      ;;
    rp) compare_potentials | tee "$out/rp.txt" ;;
    neural)
      build neural_speed >&2
      set_up_peer
      compare_networks | tee "$out/neural.txt"
      ;;
    trees) compare_trees | tee "$out/trees.jsonl" ;;
  esac
done
say "the lines as they were printed are in $out"
