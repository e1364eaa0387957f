#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A Slurm of four nodes on this one machine, for the tests: cluster.sh up FOLDER | down FOLDER.
#
# Everything lies in FOLDER, whose path must be short, for it holds sockets: munge's key, the controller's state, the
# logs, and slurm.conf, which SLURM_CONF must name. node1 has two GPUs and node2 one, which are names of /dev/null.
# The partition `high` preempts `main`. Arrays end at index 5, so that large ones must be cut. As on some sites, srun
# kills all tasks of a step when one ends with an error, unless it is told not to. Where Slurm is not
# installed, `up` exits with 77, CTest's skip.
# Only processes that this script has started are ever stopped.
set -euo pipefail

nodes=4
(($# == 2)) || { sed -n '3s/^# //p' "$0" >&2; exit 64; }
command=$1
# Others may write where the folder is (/tmp): one that is not ours is not used.
[[ -d $2 ]] || mkdir -m 700 "$2"
[[ -O $2 ]] || { printf '%s belongs to somebody else\n' "$2" >&2 && exit 1; }
root=$(cd "$2" && pwd -P)
export SLURM_CONF=$root/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

# ours PID: it is alive and its command line names our folder.
ours() { [[ -r /proc/$1/cmdline ]] && tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF "$root/"; }

# start NAME COMMAND...: in the background, with a log.
start() {
  local name=$1
  shift
  "$@" >"$root/log/$name.out" 2>&1 </dev/null &
  printf '%s\n' $! >"$root/pid/$name"
}

# attempt TENTHS COMMAND...: until it succeeds.
attempt() {
  local tenths=$1
  shift
  while ! "$@" >/dev/null 2>&1; do
    ((tenths-- > 0)) || return 1
    sleep 0.1
  done
}

gone() {
  local file
  for file in "$root"/pid/*; do
    [[ ! -e $file ]] || ! ours "$(<"$file")" || return 1
  done
}

down() {
  local file
  if [[ -e $root/pid/slurmctld ]] && ours "$(<"$root/pid/slurmctld")"; then
    timeout 10 scancel --user="$(id -un)" >/dev/null 2>&1 || true
    attempt 100 no_job_left || true
  fi
  # munge last: the others talk through it.
  for file in "$root"/pid/slurmd-* "$root/pid/slurmctld" "$root/pid/munged"; do
    [[ ! -e $file ]] || ! ours "$(<"$file")" || kill "$(<"$file")" 2>/dev/null || true
  done
  attempt 50 gone || for file in "$root"/pid/*; do
    ! ours "$(<"$file")" || kill -9 "$(<"$file")" 2>/dev/null || true
  done
  rm -rf "$root/pid" "$root/munge.socket" "$root/munge.socket.lock"
}

no_job_left() { [[ -z $(timeout 5 squeue --noheader) ]]; }
munge_answers() { [[ -S $root/munge.socket ]]; }
controller_answers() { timeout 5 scontrol ping | grep -q UP; }
all_idle() { (($(timeout 5 sinfo --noheader --partition=main --Node --format='%T' | grep -c '^idle$') == nodes)); }
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Sets `port`: the first of a row of ports that nobody listens on.
choose_ports() {
  local offset tries
  for tries in {1..50}; do
    port=$((20000 + (RANDOM % 200) * 50))
    for ((offset = 0; offset <= nodes; ++offset)); do
      ! port_taken $((port + offset)) || continue 2
    done
    return
  done
  printf 'no free ports after %d tries\n' "$tries" >&2
  return 1
}

configure() {
  local node host user
  host=$(hostname -s)
  user=$(id -un)
  # cred_expire decides how long a requeued job waits before it may start again; two minutes is the default.
  # ReturnToService=1: a node that was set down stays down until it is resumed. With 2 it comes back as soon as its
  # slurmd answers anything, and a resume after that is refused.
  cat >"$SLURM_CONF" <<END
ClusterName=mgrn
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$root/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/spool/%n
SlurmctldPidFile=$root/slurmctld.pid
SlurmdPidFile=$root/slurmd-%n.pid
SlurmctldLogFile=$root/log/slurmctld.log
SlurmdLogFile=$root/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
TmpFS=$root/tmp/%n
MpiDefault=none
MaxArraySize=6
GresTypes=gpu
ReturnToService=1
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=10
KillOnBadExit=1
MinJobAge=600
InactiveLimit=0
SlurmdTimeout=300
SlurmctldTimeout=300
MessageTimeout=60
UnkillableStepTimeout=120
MailProg=/bin/true
LaunchParameters=disable_send_gids
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2 RealMemory=4000 Gres=gpu:2
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2 RealMemory=4000 Gres=gpu:1
NodeName=node3 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 3)) CPUs=2 RealMemory=4000
NodeName=node4 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 4)) CPUs=2 RealMemory=4000
PartitionName=main Nodes=node[1-$nodes] Default=YES MaxTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=10
PartitionName=high Nodes=node[1-$nodes] MaxTime=60 PriorityTier=10 PreemptMode=OFF
END
  for node in 1 2; do
    mkdir -p "$root/gpu/node$node"
    ln -s /dev/null "$root/gpu/node$node/nvidia0"
  done
  ln -s /dev/null "$root/gpu/node1/nvidia1"
  cat >"$root/gres.conf" <<END
NodeName=node1 Name=gpu Flags=nvidia_gpu_env File=$root/gpu/node1/nvidia[0-1]
NodeName=node2 Name=gpu Flags=nvidia_gpu_env File=$root/gpu/node2/nvidia0
END
}

up() {
  local tool node
  for tool in munged slurmctld slurmd sbatch; do
    command -v "$tool" >/dev/null || {
      echo "skipped: no Slurm here ($tool; Debian: slurmctld slurmd slurm-client munge)"
      exit 77
    }
  done
  down
  rm -rf "${root:?}"/*
  mkdir -p "$root"/{pid,log,state}
  (umask 077 && head -c 1024 /dev/urandom >"$root/munge.key")
  choose_ports
  configure
  start munged munged --force --foreground --key-file="$root/munge.key" --socket="$root/munge.socket" \
    --pid-file="$root/munged.pid" --log-file="$root/log/munged.log" --seed-file="$root/munge.seed"
  attempt 100 munge_answers || give_up "munged does not start"
  start slurmctld slurmctld -D -c -f "$SLURM_CONF"
  attempt 200 controller_answers || give_up "slurmctld does not answer"
  for ((node = 1; node <= nodes; ++node)); do
    mkdir -p "$root/spool/node$node" "$root/tmp/node$node"
    start "slurmd-$node" slurmd -D -N "node$node" -f "$SLURM_CONF"
  done
  attempt 300 all_idle || give_up "not all nodes are idle"
}

give_up() {
  printf 'the cluster cannot be started: %s\n' "$1" >&2
  tail -n 5 "$root"/log/* >&2
  down
  exit 1
}

case $command in
  up | down) "$command" ;;
  *) printf 'unknown command %s\n' "$command" >&2 && exit 64 ;;
esac
