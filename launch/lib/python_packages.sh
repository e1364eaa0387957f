# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What comes as Python packages: LibTorch, and the libraries that tests compare with. Pinned, checked against
# their sha256, kept in MGRN_DEPS outside the clone so that the next clone downloads nothing. Sourced after
# common.sh.

mgrn_requirements=$MGRN_ROOT/launch/requirements

# A Python that runs pip: the one on the path (a cluster's module), or the system's own.
find_python() {
  local candidate
  for candidate in python3 /usr/bin/python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -m pip --version >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
}

# cache_folder NAME REQUIREMENTS: NAME-HASH, so that changed pins never meet an old folder.
cache_folder() {
  local hash
  hash=$(sha256sum "$2")
  printf '%s/%s-%s\n' "$MGRN_DEPS" "$1" "${hash:0:12}"
}

# make_once FOLDER COMMAND...: runs COMMAND with a new folder as its last argument and renames that to FOLDER
# when it is done, so a FOLDER that exists is complete. One process at a time works, the others wait for it.
make_once() {
  local folder=$1 partial lock
  shift
  [[ ! -d $folder ]] || return 0
  mkdir -p "$MGRN_DEPS" || fail "cannot make the folder $MGRN_DEPS" "Set MGRN_DEPS to a folder with 2 GB of space."
  exec {lock}>"$MGRN_DEPS/.lock"
  flock -n "$lock" || { say "waiting for another set-up in $MGRN_DEPS"; flock "$lock"; }
  if [[ ! -d $folder ]]; then
    rm -rf "$folder".partial.*   # of a set-up that was killed; nobody else writes while we hold the lock
    partial=$(mktemp -d "$folder.partial.XXXXXX")
    if ! "$@" "$partial"; then
      rm -rf "$partial"
      fail "the set-up of $(basename "$folder") failed" \
        "Read the words above; with a network or index problem, run this again. $offline_hint"
    fi
    chmod 755 "$partial"
    mv -T "$partial" "$folder"
  fi
  exec {lock}>&-
}

# pip_install PYTHON FOLDER ARGUMENT...: into FOLDER, temporary files beside it: /tmp is small on many clusters.
pip_install() {
  local python=$1 folder=$2 temporary
  shift 2
  temporary=$(mktemp -d "$folder/.tmp.XXXXXX")
  TMPDIR=$temporary "$python" -m pip --disable-pip-version-check --no-input install --no-deps --no-compile \
    --no-cache-dir --require-hashes --only-binary :all: --root-user-action ignore "$@" >&2 || return 1
  rm -rf "$temporary"
}

install_libtorch() {
  local python=$1 partial=$2
  pip_install "$python" "$partial" --target "$partial" --requirement "$mgrn_requirements/libtorch.txt" \
    --implementation cp --python-version 3.11 --abi cp311 \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 || return 1
  [[ -e $partial/torch/lib/libtorch_cpu.so ]]
}

install_test_python() {
  local python=$1 partial=$2
  # Without pip of its own: the outer pip fills it, and Debian's python3 alone can make it.
  "$python" -m venv --without-pip "$partial" >&2 || return 1
  pip_install "$python" "$partial" --requirement "$mgrn_requirements/test-python.txt" \
    --target "$("$partial/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || return 1
  "$partial/bin/python" -c 'import h5py, numpy, scipy, sklearn' >&2
}

# Is there a LibTorch that the user named? CMake checks it; here only whether a download is wanted.
libtorch_is_given() {
  local prefix
  [[ -z ${TORCH_ROOT:-} ]] || return 0
  local -a prefixes
  IFS=':;' read -r -a prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for prefix in ${prefixes[@]+"${prefixes[@]}"}; do
    [[ ! -e $prefix/include/torch/csrc/api/include/torch/torch.h &&
      ! -e $prefix/torch/include/torch/csrc/api/include/torch/torch.h ]] || return 0
  done
  return 1
}

# Sets and exports TORCH_ROOT unless the user has given a LibTorch.
set_up_libtorch() {
  ! libtorch_is_given || return 0
  local folder python
  folder=$(cache_folder libtorch-2.11.0 "$mgrn_requirements/libtorch.txt")
  if [[ ! -d $folder ]]; then
    [[ $(uname -s)-$(uname -m) == Linux-x86_64 ]] || fail \
      "LibTorch is fetched only for x86-64 Linux, this is $(uname -s) $(uname -m)" \
      "Install LibTorch 2.11 and set TORCH_ROOT to its folder."
    python=$(find_python)
    if [[ -z $python ]]; then
      say "no Python with pip to fetch LibTorch; CMake looks for an installed one"
      return 0
    fi
    say "fetching LibTorch 2.11.0 (0.5 GB, 1.1 GB unpacked) into $folder"
    local offline_hint="Or give an installed LibTorch: TORCH_ROOT=DIR. Without network, copy $MGRN_DEPS from a machine that has it."
    make_once "$folder" install_libtorch "$python"
  fi
  export TORCH_ROOT=$folder
}

# The tests' environment belongs to one interpreter, so its folder's name does too: machines with different
# Pythons may share one cache, and a Python that has gone leaves nothing broken behind.
test_python_folder() {
  local pins interpreter
  pins=$(sha256sum <"$mgrn_requirements/test-python.txt")
  interpreter=$("$1" -c 'import os, sys; print(os.path.realpath(sys.executable), sys.version)' | sha256sum)
  printf '%s/test-python-%s-%s\n' "$MGRN_DEPS" "${pins:0:12}" "${interpreter:0:6}"
}

# The interpreter of the tests' environment, or nothing where it has not been made.
test_python() {
  local folder python
  python=$(find_python)
  [[ -n $python ]] || return 0
  folder=$(test_python_folder "$python")
  [[ ! -x $folder/bin/python ]] || printf '%s\n' "$folder/bin/python"
}

set_up_test_python() {
  local folder python version
  python=$(find_python)
  if [[ -z $python ]]; then
    say "no Python with pip: tests that compare with numpy, scipy, scikit-learn or h5py will be skipped"
    return 0
  fi
  folder=$(test_python_folder "$python")
  [[ ! -d $folder ]] || return 0
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  case $version-$(uname -s)-$(uname -m) in
    3.1[123]-Linux-x86_64) ;;
    *)
      say "no pinned wheels for Python $version on $(uname -s) $(uname -m): tests that compare with numpy, scipy," \
        "scikit-learn or h5py will be skipped"
      return 0
      ;;
  esac
  say "fetching numpy, scipy, scikit-learn and h5py for the tests (70 MB) into $folder"
  local offline_hint=""
  make_once "$folder" install_test_python "$python"
}

# What launch/compare.sh compares with: PyTorch, whose libraries are the LibTorch that the program links.

# An interpreter for which the pinned PyTorch has its Python part.
find_peer_python() {
  local candidate
  for candidate in python3.11 python3 /usr/bin/python3; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null &&
      "$candidate" -m pip --version >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
}

install_peer() {
  local python=$1 torch=$2 partial=$3
  "$python" -m venv --without-pip "$partial" >&2 || return 1
  pip_install "$python" "$partial" --requirement "$mgrn_requirements/peer.txt" \
    --target "$("$partial/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || return 1
  # In place of over 2 GB of CUDA libraries that a run on the CPU loads and never calls.
  "$python" "$MGRN_ROOT/tests/benchmarks/cuda_placeholders.py" "$torch/torch/lib" "$partial/placeholders" >&2 ||
    return 1
  LD_LIBRARY_PATH=$partial/placeholders PYTHONPATH=$torch "$partial/bin/python" -c 'import torch' >&2
}

# Sets mgrn_peer, the words of a command that runs Python with PyTorch; empty, after saying why, where there is
# none. MGRN_PEER_PYTHON names an interpreter that has PyTorch already.
set_up_peer() {
  local folder python torch
  mgrn_peer=()
  if [[ -n ${MGRN_PEER_PYTHON:-} ]]; then
    "$MGRN_PEER_PYTHON" -c 'import torch' >&2 || fail "$MGRN_PEER_PYTHON cannot import torch" \
      "Unset MGRN_PEER_PYTHON, or name an interpreter that has PyTorch."
    mgrn_peer=("$MGRN_PEER_PYTHON")
    return
  fi
  torch=${TORCH_ROOT:-}
  if [[ ! -e $torch/torch/__init__.py ]]; then
    say "the LibTorch in use (${torch:-of the system}) has no Python part: PyTorch is left out; MGRN_PEER_PYTHON names one"
    return
  fi
  python=$(find_peer_python)
  if [[ -z $python ]]; then
    say "no Python 3.11 with pip: PyTorch is left out; MGRN_PEER_PYTHON names an interpreter that has it"
    return
  fi
  folder=$(cache_folder peer "$mgrn_requirements/peer.txt")
  if [[ ! -x $folder/bin/python ]]; then
    [[ ! -d $folder ]] || mv -T "$folder" "$folder.partial.stale"   # its interpreter is gone
    say "fetching what PyTorch needs in Python (30 MB) into $folder"
    local offline_hint=""
    make_once "$folder" install_peer "$python" "$torch"
  fi
  # shellcheck disable=SC2034  # read by compare.sh
  mgrn_peer=(env "LD_LIBRARY_PATH=$folder/placeholders" "PYTHONPATH=$torch" "$folder/bin/python")
}
