# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the submit scripts share: their options, the text of a job script, the call of sbatch. Sourced.
set -euo pipefail

mgrn_slurm=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf 'slurm: %s\n' "$*" >&2; }

# fail CODE MESSAGE HINT: the program's exit codes (64 usage, 65 input, 74 output, 76 Slurm says no).
fail() {
  printf 'error: %s\nhint: %s\n' "$2" "$3" >&2
  exit "$1"
}

# What every submit script understands, for --help.
mgrn_options_help='The job:
  --time LIMIT           time limit as Slurm writes it (30, 2:00:00, 1-12); needed
  --nodes N              nodes (1)
  --ranks-per-node K     ranks on each node (1; with GPUs: one per GPU)
  --gpus-per-node G      GPUs on each node, [TYPE:]NUMBER (0)
  --gpus N               instead of the three above: N ranks with a GPU each, on as many nodes as Slurm likes;
                         nodes may give different numbers
  --cpus-per-rank C      cores for each rank (1); train.threads should be the same
  --memory-per-cpu SIZE  as in 4G (the site'"'"'s default)
  --partition NAME  --account NAME  --qos NAME  --constraint LIST
  --sbatch OPTION        any other option of sbatch, as --sbatch --reservation=x; may be repeated
How it runs:
  --program FILE         the program (of this clone or installation, else the one in PATH)
  --setup FILE           sourced by the job before all else: module load, export
  --launcher srun|mpirun who starts the ranks (srun)
  --mpi TYPE             what srun --mpi is told (pmix)
  --stop-before SECONDS  how long before the time limit the ranks are told to stop with a checkpoint (180);
                         Slurm may do so up to a minute earlier
  --requeues N           how often a stopped job may go on by itself (100)
  --stage [WHERE]        copy datasets to the nodes'"'"' own disks first: a folder, or the name of a variable that
                         holds one (SLURM_TMPDIR)
  --name NAME            name of the job
  --log FILE             its output, with the patterns of sbatch (slurm-%x-%j.out)
  --dry-run              print the job script and submit nothing; needs no Slurm
  --help'

# Defaults, in one place.
job_nodes=1
job_ranks_per_node=""
job_gpus_per_node=0
job_gpus=""
job_cpus_per_rank=1
job_time=""
job_name=""
job_log=""
job_stop_before=180
job_lines=()       # further #SBATCH options
job_array=""       # --array, set by submit-grid.sh
job_dependency=""  # --dependency, set by the scripts that chain jobs
program=""
setup=""
launcher=srun
mpi=pmix
requeues=100
stage=""
dry_run=""
# shellcheck disable=SC2034  # read by the submit scripts
command_words=()  # what stands behind --

is_number() { [[ $1 =~ ^(0|[1-9][0-9]{0,8})$ ]]; }

# need_number OPTION VALUE LEAST
need_number() {
  if ! is_number "$2" || (($2 < $3)); then
    fail 64 "$1: expected a number, $3 or more, got '$2'" "Write $1 $3, for example."
  fi
}

# seconds_of LIMIT: Slurm's six ways of writing a time, in seconds.
seconds_of() {
  local days=0 clock=$1 parts
  if [[ $1 == *-* ]]; then
    days=${1%%-*}
    clock=${1#*-}
  fi
  [[ -n $clock && $clock != *: ]] || return 1
  IFS=: read -ra parts <<<"$clock"
  local part
  for part in "$days" "${parts[@]}"; do
    [[ $part =~ ^[0-9]{1,6}$ ]] || return 1
  done
  # 10#: 08 is eight, not a bad octal number. Without days the first of one or two parts is minutes.
  local -i first=10#${parts[0]} second=10#${parts[1]:-0} third=10#${parts[2]:-0}
  case ${#parts[@]}:$([[ $1 == *-* ]] && echo days) in
    1:) printf '%d\n' $((first * 60)) ;;
    2:) printf '%d\n' $((first * 60 + second)) ;;
    3: | 1:days | 2:days | 3:days) printf '%d\n' $((10#$days * 86400 + first * 3600 + second * 60 + third)) ;;
    *) return 1 ;;
  esac
}

# read_options "$@": sets the variables above. An option that is not known here is given to own_option NAME VALUE,
# which a script may define; it fails for an option that it does not know either.
read_options() {
  while (($#)); do
    case $1 in
      --)
        shift
        # shellcheck disable=SC2034
        command_words=("$@")
        return
        ;;
      --help)
        own_help
        printf '\n%s\n' "$mgrn_options_help"
        exit 0
        ;;
      --dry-run) dry_run=yes && shift && continue ;;
      --stage)
        stage=SLURM_TMPDIR
        shift
        [[ $# == 0 || $1 == -* ]] || { stage=$1 && shift; }
        continue
        ;;
      --*=*)
        # --nodes=2 is --nodes 2.
        set -- "${1%%=*}" "${1#*=}" "${@:2}"
        continue
        ;;
    esac
    [[ $1 == --* ]] || fail 64 "unexpected word '$1'" "Options come first, then --, then the program's command."
    if (($# < 2)) || [[ -z $2 || $2 == -- ]]; then
      fail 64 "$1 needs a value" "See ${0##*/} --help."
    fi
    case $1 in
      --nodes) need_number "$1" "$2" 1 && job_nodes=$2 nodes_given=yes ;;
      --ranks-per-node) need_number "$1" "$2" 1 && job_ranks_per_node=$2 nodes_given=yes ;;
      --gpus-per-node) need_number "$1" "${2##*:}" 0 && job_gpus_per_node=$2 nodes_given=yes ;;
      --gpus) need_number "$1" "${2##*:}" 1 && job_gpus=$2 ;;
      --cpus-per-rank) need_number "$1" "$2" 1 && job_cpus_per_rank=$2 ;;
      --time) job_time=$2 ;;
      --memory-per-cpu) job_lines+=("--mem-per-cpu=$2") ;;
      --partition | --account | --qos | --constraint) job_lines+=("$1=$2") ;;
      --sbatch) job_lines+=("$2") ;;
      --name) job_name=$2 ;;
      --log) job_log=$2 ;;
      --program) program=$2 ;;
      --setup) setup=$2 ;;
      --launcher) launcher=$2 ;;
      --mpi) mpi=$2 ;;
      --stop-before) need_number "$1" "$2" 1 && job_stop_before=$2 ;;
      --requeues) need_number "$1" "$2" 0 && requeues=$2 ;;
      *)
        if ! declare -F own_option >/dev/null || ! own_option "$1" "$2"; then
          fail 64 "unknown option $1" "See ${0##*/} --help; options of sbatch that are not there go through --sbatch."
        fi
        ;;
    esac
    shift 2
  done
}

# value_of KEY WORD...: the value of --KEY among the program's words, or nothing; the last one wins.
value_of() {
  local key=--$1 value=""
  shift
  while (($#)); do
    case $1 in
      "$key") value=${2:-} ;;
      "$key"=*) value=${1#*=} ;;
    esac
    shift
  done
  printf '%s' "$value"
}

find_program() {
  if [[ -z $program ]]; then
    # Of this clone, or of the installation whose PREFIX/share/multigrnformer/slurm this is.
    for program in "$mgrn_slurm/../build/release/multigrnformer" \
      "${mgrn_slurm%/share/multigrnformer/slurm}/bin/multigrnformer" "$(command -v multigrnformer || true)"; do
      [[ ! -x $program ]] || break
    done
    [[ -n $program ]] || fail 65 "there is no program: not built or installed here, and none in PATH" \
      "Build it (docs/install.md) or name it with --program."
  fi
  [[ -f $program && -x $program ]] || fail 65 "$program is not a program" "Name multigrnformer with --program FILE."
  program=$(realpath "$program")
}

# Everything that can be refused before a job has waited in the queue. Sets `ranks`.
check_options() {
  local seconds gpus
  find_program
  [[ -n $job_time ]] || fail 64 "--time is missing" "Say how long a job may run, as --time 2:00:00."
  seconds=$(seconds_of "$job_time") ||
    fail 64 "--time: expected a time limit, got '$job_time'" "Write MINUTES, HOURS:MINUTES:SECONDS or DAYS-HOURS."
  ((seconds > job_stop_before)) || fail 64 \
    "the ranks would be told to stop as they start: --time is $seconds s, --stop-before $job_stop_before s" \
    "Ask for more time, or lower --stop-before; writing a checkpoint takes seconds."
  case $launcher in
    srun | mpirun) ;;
    *) fail 64 "--launcher: expected srun or mpirun, got '$launcher'" "Leave it out for srun." ;;
  esac
  if [[ -n $setup ]]; then
    [[ -r $setup ]] || fail 65 "--setup: $setup cannot be read" "Name a file of shell commands, such as module load."
    setup=$(realpath "$setup")
  fi
  [[ $stage == "" || $stage == /* || $stage =~ ^[A-Za-z_][A-Za-z_0-9]*$ ]] ||
    fail 64 "--stage: expected a full path or the name of a variable, got '$stage'" "Write --stage SLURM_TMPDIR."
  if [[ -n $job_gpus ]]; then
    [[ -z ${nodes_given:-} ]] || fail 64 "--gpus leaves the nodes to Slurm and excludes --nodes and its like" \
      "Give --gpus N alone, or --nodes N --gpus-per-node G."
    ranks=${job_gpus##*:}
  else
    gpus=${job_gpus_per_node##*:}
    : "${job_ranks_per_node:=$((gpus > 0 ? gpus : 1))}"
    ((job_ranks_per_node >= gpus)) || fail 64 \
      "$((gpus - job_ranks_per_node)) of the $gpus GPUs of each node would be idle: a rank uses one" \
      "Leave out --ranks-per-node, or ask for --gpus-per-node $job_ranks_per_node."
    ranks=$((job_nodes * job_ranks_per_node))
  fi
  local line
  for line in "$job_name" "$job_log" "$PWD" ${job_lines[@]+"${job_lines[@]}"}; do
    [[ $line != *[$'\n"']* ]] || fail 64 "an option holds a quote or a line break: $line" "Choose another name."
  done
  for line in ${job_lines[@]+"${job_lines[@]}"}; do
    [[ $line == --* ]] || fail 64 "--sbatch: expected an option of sbatch, got '$line'" "Write --sbatch --reservation=x."
  done
}

# check_gpus WORD...: the program's device and the job's must agree, where the command line names the former.
check_gpus() {
  local device gpus=${job_gpus:-$job_gpus_per_node}
  device=$(value_of train.device "$@")
  gpus=${gpus##*:}
  [[ $device != cuda || $gpus != 0 ]] || fail 64 "train.device is cuda, and the job asks for no GPU" \
    "Add --gpus-per-node G or --gpus N."
  [[ $device != cpu || $gpus == 0 ]] || fail 64 "the job asks for GPUs, and train.device is cpu" \
    "Leave out the GPUs, or set --train.device cuda."
}

# What this cluster can do, asked before the job waits in its queue.
check_cluster() {
  local types
  command -v sbatch >/dev/null || fail 76 "there is no sbatch here" \
    "Run this on a login node of a Slurm cluster; --dry-run prints the script anywhere, launch/mpirun.sh runs without Slurm."
  [[ $launcher == srun ]] || return 0
  types=$(srun --mpi=list 2>&1) || fail 76 "srun --mpi=list fails: $types" "Ask the cluster's administrators."
  # One type on a line, on some versions behind "srun: ".
  types=$(sed -n 's/^\(srun:\)\{0,1\}[[:space:]]*\([a-z0-9_]*\)$/\2/p' <<<"$types")
  grep -Fxq "$mpi" <<<"$types" || fail 76 \
    "srun of this cluster does not know --mpi=$mpi, each rank would be alone; it knows: ${types//$'\n'/ }" \
    "Give --mpi the one of these that your MPI library was built for, or --launcher mpirun."
}

# job_script WORD...: prints the job script that runs the program with these words, which are quoted for a shell
# already (quote_words), so that some of them may be left to the job's own shell.
job_script() {
  local directive
  local -a directives=("--job-name=$job_name")
  if [[ -n $job_gpus ]]; then
    # Every rank brings its GPU along, so nodes may hold different numbers of both.
    local kind=""
    [[ $job_gpus != *:* ]] || kind=${job_gpus%:*}:
    directives+=("--ntasks=$ranks" "--gpus-per-task=${kind}1")
  else
    directives+=("--nodes=$job_nodes" "--ntasks-per-node=$job_ranks_per_node")
    [[ ${job_gpus_per_node##*:} == 0 ]] || directives+=("--gpus-per-node=$job_gpus_per_node")
  fi
  directives+=("--cpus-per-task=$job_cpus_per_rank" "--time=$job_time" "--signal=B:USR1@$job_stop_before"
    --requeue --open-mode=append "--chdir=$PWD" "--output=$job_log")
  [[ -z $job_array ]] || directives+=("--array=$job_array")
  directives+=(${job_lines[@]+"${job_lines[@]}"})
  printf '#!/bin/bash\n'
  for directive in "${directives[@]}"; do
    [[ $directive != *\ * ]] || directive="${directive%%=*}=\"${directive#*=}\""
    printf '#SBATCH %s\n' "$directive"
  done
  printf '# Made by slurm/%s; the run goes on from its checkpoint when this is submitted again.\n\n' "${0##*/}"
  [[ -z $setup ]] || printf '# shellcheck source=/dev/null\nsource %q\n' "$setup"
  printf '%s=%q\n' program "$program" ranks "$ranks" launcher "$launcher" mpi "$mpi" requeues "$requeues" \
    stage "$stage"
  printf '\n'
  # Without the lines that tell the licence and what shellcheck should know.
  sed '1,3d' "$mgrn_slurm/lib/job.sh"
  printf '\nrun_job'
  printf ' %s' "$@"
  printf '\n'
}

# quote_words WORD...: sets the array `quoted`.
quote_words() {
  quoted=()
  local word
  for word in "$@"; do
    quoted+=("$(printf '%q' "$word")")
  done
}

# submit WORD...: submits a job that runs the program with these words, quoted as above, prints its number and
# sets `job` to it. With --dry-run: prints the script.
submit() {
  local script folder
  script=$(job_script "$@")
  if [[ -n $dry_run ]]; then
    printf '%s\n' "$script"
    job="JOB"
    return
  fi
  # Slurm kills a job at once and without a word where it cannot open the output.
  folder=$(dirname "$job_log")
  [[ $folder == *%* ]] || mkdir -p "$folder" || fail 74 "the folder of the log cannot be made: $folder" "Choose another --log."
  local -a more=(--parsable)
  [[ -z $job_dependency ]] || more+=("--dependency=$job_dependency" --kill-on-invalid-dep=yes)
  job=$(sbatch "${more[@]}" <<<"$script") || fail 76 "sbatch refused the job" \
    "Its own words stand above; --dry-run prints the script."
  job=${job%%;*}  # "job;cluster" where there are several clusters
  say "job $job ($job_name): $ranks ranks, log $job_log"
  printf '%s\n' "$job"
}
