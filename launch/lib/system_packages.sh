# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Packages of the system, on Debian and its relatives. Sourced after common.sh.

# Only what the build and the tests need. Names of Debian 12; Ubuntu 24.04 has the same.
mgrn_system_packages=(
  ca-certificates g++ cmake ninja-build ccache
  libopenmpi-dev openmpi-bin libhdf5-openmpi-dev
  libboost-program-options-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libssl-dev zlib1g-dev
  libgtest-dev libgmock-dev
  python3 python3-pip
  gnuplot-nox  # PDF figures of reports
)

# Called before set_up_system where tests are to run: the Slurm that some of them start on this machine,
# and what gives it virtual hosts.
want_test_packages() { mgrn_system_packages+=(slurmctld slurmd slurm-client munge iproute2); }

missing_system_packages() {
  local package status
  for package in "${mgrn_system_packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $status == installed ]] || printf '%s\n' "$package"
  done
}

# Installs what is missing, after saying what. Does nothing, not even look at the network, where all is there.
install_system_packages() {
  local -a missing as_root=()
  mapfile -t missing < <(missing_system_packages)
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail \
      "these packages are missing, and installing them needs root or sudo: ${missing[*]}" \
      "Ask an administrator to install them, or set MGRN_SYSTEM=skip to build with what is there (docs/install.md)."
    as_root=(sudo)
  fi
  say "installing ${#missing[@]} packages of the system: ${missing[*]}"
  local -a apt=(${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=600 -q)
  "${apt[@]}" update >&2 || say "the package lists could not be brought up to date; going on with those that are here"
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2 || fail \
    "apt-get could not install: ${missing[*]}" \
    "Read apt-get's words above; with a network or mirror problem, run this again, it goes on where it stopped."
}

# Without apt-get or with MGRN_SYSTEM=skip: the tools that must be there before CMake can name the libraries.
check_build_tools() {
  local -a missing=()
  command -v cmake >/dev/null || missing+=("cmake 3.22 or newer (package cmake; module cmake)")
  command -v ninja >/dev/null || missing+=("ninja (package ninja-build; module ninja)")
  command -v "${CXX:-c++}" >/dev/null || missing+=("a C++20 compiler (package g++; module gcc/12 or newer)")
  command -v "${CC:-cc}" >/dev/null || missing+=("a C compiler (package gcc; module gcc/12 or newer)")
  ((${#missing[@]})) || return 0
  printf 'missing: %s\n' "${missing[@]}" >&2
  fail "the tools above are needed to build" \
    "Load the modules or install the packages named there, then run this again. The libraries can be looked for only then; docs/install.md lists them too."
}

set_up_system() {
  if system_is_ours && command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
    install_system_packages
  else
    system_is_ours && say "no apt-get here: taking what the system has, as with MGRN_SYSTEM=skip"
    check_build_tools
  fi
}
