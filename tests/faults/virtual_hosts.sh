#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A network of virtual hosts node1, node2, ... on this one machine, for the tests: namespaces with a network and a
# name each, joined by a switch. It lives as long as COMMAND, which runs beside the switch, and every process of it
# ends with COMMAND; the machine outside sees nothing of it.
#
#   virtual_hosts.sh N COMMAND...          runs COMMAND with N hosts
# and, for COMMAND:
#   virtual_hosts.sh on HOST WORD...       runs the words on a host
#   virtual_hosts.sh agent HOST LINE...    runs a shell's line on a host (Open MPI's plm_rsh_agent)
#   virtual_hosts.sh cut HOST | heal HOST  pulls the host's cable, puts it back
#
# Exits with 77 and says why where namespaces are not permitted.
set -euo pipefail

here=$(readlink -f "${BASH_SOURCE[0]}")
PATH=$PATH:/usr/sbin:/sbin

on() {
  local host=$1
  shift
  # shellcheck disable=SC2016  # for the shell on the host
  exec nsenter --net="/run/netns/$host" unshare --uts sh -c 'hostname "$1" && shift && exec "$@"' sh "$host" "$@"
}

# In new namespaces, whose mounts and links are nobody else's.
set_up() {
  local count=$1 i
  mount -t tmpfs tmpfs /run
  mkdir /run/netns
  {
    echo "127.0.0.1 localhost"
    for ((i = 1; i <= count; ++i)); do echo "10.77.0.$i node$i"; done
  } >/run/hosts
  mount --bind /run/hosts /etc/hosts
  ip link set lo up
  ip link add switch type bridge
  ip link set switch up
  for ((i = 1; i <= count; ++i)); do
    ip netns add "node$i"
    ip link add "port$i" type veth peer name eth0 netns "node$i"
    ip link set "port$i" master switch up
    ip -n "node$i" link set lo up
    ip -n "node$i" addr add "10.77.0.$i/24" dev eth0
    ip -n "node$i" link set eth0 up
    # A connection that nobody answers is given up after about ten seconds instead of fifteen minutes.
    nsenter --net="/run/netns/node$i" sh -c 'echo 5 >/proc/sys/net/ipv4/tcp_retries2'
  done
}

case ${1:-} in
  on) shift && on "$@" ;;
  agent) shift && on "$1" sh -c "${*:2}" ;;
  cut) ip link set "port${2#node}" down ;;
  heal) ip link set "port${2#node}" up ;;
  inside)
    if ! said=$(set_up "$2" 2>&1); then
      printf 'skipped: no virtual hosts here: %s\n' "$said"
      exit 77
    fi
    # The first process of the namespace: what is still there when it ends is killed.
    "${@:3}"
    ;;
  [1-9]*)
    for tool in ip unshare nsenter mount; do
      command -v "$tool" >/dev/null || { echo "skipped: no virtual hosts here: there is no $tool (iproute2, util-linux)"; exit 77; }
    done
    options=(--mount --net --pid --fork --kill-child --mount-proc)
    ((EUID == 0)) || options+=(--user --map-root-user)
    if ! said=$(unshare "${options[@]}" true 2>&1); then
      printf 'skipped: namespaces are not permitted here: %s\n' "$said"
      exit 77
    fi
    exec unshare "${options[@]}" "$here" inside "$@"
    ;;
  *) sed -n '7,13s/^# \{0,1\}//p' "$here" >&2 && exit 64 ;;
esac
