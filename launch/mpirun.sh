#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the program on many ranks without a batch system: on this machine, or on the hosts of a file.
#
#   launch/mpirun.sh [OPTIONS] -- COMMAND ARGUMENT...
#   launch/mpirun.sh --ranks 4 -- train --config run.ini --out run
#   launch/mpirun.sh --hostfile hosts --cpus-per-rank 2 -- train --config run.ini --train.threads 2 --out run
#
#   --ranks N          ranks in all (one per core of this machine, or as many as the host file has slots)
#   --hostfile FILE    one host a line, with `slots=N` for N ranks there (1); # starts a comment
#   --cpus-per-rank C  cores that belong to each rank (1)
#   --bind WHAT        core, socket or none: what a rank is bound to (core; none where other work runs too)
#   --oversubscribe    allow more ranks than cores
#   --program FILE     the program (of this clone or installation)
#   --mpirun FILE      the launcher (mpirun of PATH): Open MPI's, MPICH's or Intel's
#   --dry-run          print the command and run nothing
#
# Ctrl-C, SIGTERM and SIGUSR1 stop the ranks with a checkpoint; the same command then goes on from it (exit code 75).
# Given to mpirun itself, SIGTERM would end them without.
# shellcheck source-path=SCRIPTDIR
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/lib/common.sh"

ranks=""
hostfile=""
cpus_per_rank=1
bind=core
oversubscribe=""
program=$MGRN_BUILD/multigrnformer
# Installed, this is PREFIX/share/multigrnformer/launch/mpirun.sh.
[[ -x $program || ! -x ${MGRN_ROOT%/share/multigrnformer}/bin/multigrnformer ]] ||
  program=${MGRN_ROOT%/share/multigrnformer}/bin/multigrnformer
mpirun=mpirun
dry_run=""

# refuse CODE MESSAGE HINT: with the program's own exit codes.
refuse() {
  printf 'error: %s\nhint: %s\n' "$2" "$3" >&2
  exit "$1"
}

need_number() {
  [[ $2 =~ ^[1-9][0-9]{0,6}$ ]] || refuse 64 "$1: expected a number, 1 or more, got '$2'" "Write $1 2, for example."
}

while (($#)); do
  case $1 in
    --) shift && break ;;
    --help)
      sed -n '3,20s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --dry-run) dry_run=yes && shift && continue ;;
    --oversubscribe) oversubscribe=yes && shift && continue ;;
  esac
  if (($# < 2)) || [[ -z $2 || $2 == -- ]]; then
    refuse 64 "$1 needs a value, or is no option" "See launch/mpirun.sh --help; the program's command stands behind --."
  fi
  case $1 in
    --ranks) need_number "$1" "$2" && ranks=$2 ;;
    --hostfile) hostfile=$2 ;;
    --cpus-per-rank) need_number "$1" "$2" && cpus_per_rank=$2 ;;
    --bind) bind=$2 ;;
    --program) program=$2 ;;
    --mpirun) mpirun=$2 ;;
    *) refuse 64 "unknown option $1" "See launch/mpirun.sh --help." ;;
  esac
  shift 2
done
(($#)) || refuse 64 "there is no command for the program" "Put it behind --, as in launch/mpirun.sh --ranks 2 -- doctor."
[[ $bind == core || $bind == socket || $bind == none ]] || refuse 64 "--bind: expected core, socket or none, got '$bind'" \
  "Leave it out for core."
[[ -f $program && -x $program ]] || refuse 65 "$program is not a program" "Build it (docs/install.md) or name it with --program."
# Said only by launchers: a program of that name which starts no ranks is found out here.
version=$("$mpirun" --version 2>&1) || refuse 65 "$mpirun --version fails: ${version%%$'\n'*}" \
  "Load an MPI module, or name the launcher with --mpirun."
case $version in
  *"Open MPI"* | *OpenRTE* | *PRTE*) family=openmpi ;;
  *HYDRA* | *Intel*) family=hydra ;;
  *) refuse 64 "$mpirun is the launcher of no MPI that is known here: ${version%%$'\n'*}" \
    "Use the mpirun of Open MPI, MPICH or Intel MPI." ;;
esac

# read_hosts: sets `hosts` (host:slots,...) and `slots`, their sum.
read_hosts() {
  local line words host count
  hosts=""
  slots=0
  [[ -r $hostfile ]] || refuse 65 "the host file $hostfile cannot be read" "Name a file with one host a line."
  while read -r line || [[ -n $line ]]; do
    line=${line%%#*}
    read -ra words <<<"$line"
    ((${#words[@]})) || continue
    host=${words[0]}
    count=1
    if ((${#words[@]} > 1)); then
      [[ ${#words[@]} == 2 && ${words[1]} =~ ^slots=([1-9][0-9]{0,5})$ ]] || refuse 64 \
        "the host file $hostfile has the line '$line': expected HOST slots=N" "Write one host a line."
      count=${BASH_REMATCH[1]}
    fi
    hosts+=${hosts:+,}$host:$count
    slots=$((slots + count))
  done <"$hostfile"
  ((slots)) || refuse 64 "the host file $hostfile names no host" "Write one host a line, as in: node1 slots=4"
}

if [[ -n $hostfile ]]; then
  read_hosts
else
  slots=$(($(nproc) / cpus_per_rank))
  ((slots)) || slots=1
fi
: "${ranks:=$slots}"
if ((ranks > slots)) && [[ -z $oversubscribe ]]; then
  refuse 64 "$ranks ranks of $cpus_per_rank cores are more than fit: there is room for $slots" \
    "Use --ranks $slots; --oversubscribe starts them all the same, and slowly."
fi

command=("$mpirun" -n "$ranks")
if [[ $family == openmpi ]]; then
  [[ -z $hostfile ]] || command+=(--host "$hosts")
  [[ -z $oversubscribe ]] || command+=(--oversubscribe)
  # Cores are counted where ranks are mapped; ranks beyond the cores cannot be bound to one each.
  if [[ $bind == none || -n $oversubscribe ]]; then
    command+=(--bind-to none)
  elif [[ $bind == core ]]; then
    command+=(--map-by "slot:PE=$cpus_per_rank" --bind-to core)
  else
    command+=(--map-by slot --bind-to "$bind")
  fi
else
  [[ -z $hostfile ]] || command+=(-hosts "$hosts")
  if [[ $bind == none || -n $oversubscribe ]]; then
    command+=(-bind-to none)
  else
    command+=(-bind-to "$bind:$cpus_per_rank")
  fi
fi
command+=("$program" "$@")

if [[ -n $dry_run ]]; then
  printf '%q ' "${command[@]}"
  printf '\n'
  exit 0
fi

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
child=""
stopping=""
trap 'stopping=yes; [[ -z $child ]] || kill -USR1 "$child" 2>/dev/null' TERM USR1 INT
# In a process group of its own, for Ctrl-C goes to a whole group and would reach mpirun as well.
set -m
"${command[@]}" </dev/null &
child=$!
set +m
[[ -z $stopping ]] || kill -USR1 "$child" 2>/dev/null
status=0
# A signal interrupts wait, whose result then is not the child's; that of one that is gone can be had again.
while kill -0 "$child" 2>/dev/null; do
  wait "$child" || true
done
wait "$child" || status=$?
((status != 75)) || say "stopped with a checkpoint: the same command goes on from it"
exit "$status"
