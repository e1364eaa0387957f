# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Configures and builds build/release. Sourced after common.sh and python_packages.sh.

cores() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN; }

# Memory this process may use, in KiB: what is free, and not more than the control group allows.
memory_kib() {
  local free limit
  free=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
  if [[ $limit =~ ^[0-9]+$ ]] && ((limit / 1024 < free)); then
    free=$((limit / 1024))
  fi
  printf '%s\n' "$free"
}

# A compiler that reads LibTorch's headers takes over 1 GiB: 2 GiB for each job keeps the machine alive.
build_jobs() {
  if [[ -n ${MGRN_JOBS:-} ]]; then
    [[ $MGRN_JOBS =~ ^[1-9][0-9]*$ ]] || fail "MGRN_JOBS is '$MGRN_JOBS': expected a number of jobs, 1 or more" \
      "Set MGRN_JOBS to a number, or unset it."
    printf '%s\n' "$MGRN_JOBS"
    return
  fi
  local jobs by_memory
  jobs=$(cores)
  by_memory=$(($(memory_kib) / (2 * 1024 * 1024)))
  ((by_memory >= jobs)) || jobs=$by_memory
  ((jobs >= 1)) || jobs=1
  printf '%s\n' "$jobs"
}

# Configures only when there is no build folder yet or the arguments have changed; ninja itself configures
# again when a CMake file has.
configure() {
  local -a arguments=(--preset release "-DMGRN_TEST_PYTHON=$(test_python)")
  [[ -z ${TORCH_ROOT:-} ]] || arguments+=("-DTORCH_ROOT=$TORCH_ROOT")
  if [[ ${CI:-} == true ]]; then
    arguments+=(-DMGRN_WARNINGS_AS_ERRORS=ON)
  else
    arguments+=(-DMGRN_WARNINGS_AS_ERRORS=OFF)
  fi
  local stamp=$MGRN_BUILD/.configured_with words
  words=$(printf '%q ' "${arguments[@]}" "CMAKE_PREFIX_PATH=${CMAKE_PREFIX_PATH:-}")
  if [[ -e $MGRN_BUILD/build.ninja && -e $stamp && $(<"$stamp") == "$words" ]]; then
    return
  fi
  rm -f "$stamp"
  # A cache that remembers what was not found would hide the packages installed since.
  (cd "$MGRN_ROOT" && cmake "${arguments[@]}") || { rm -f "$MGRN_BUILD/CMakeCache.txt"; exit 1; }
  printf '%s\n' "$words" >"$stamp"
}

# build TARGET...
build() {
  local lock
  # What one clone has compiled, ccache gives to the next one in another folder.
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$MGRN_ROOT} CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-1}
  mkdir -p "$MGRN_BUILD"
  exec {lock}>"$MGRN_BUILD/.lock"
  flock -n "$lock" || { say "waiting for another build in $MGRN_BUILD"; flock "$lock"; }
  configure
  cmake --build "$MGRN_BUILD" --parallel "$(build_jobs)" --target "$@"
  exec {lock}>&-
}
