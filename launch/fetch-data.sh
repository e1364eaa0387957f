#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Downloads the data of the paper's experiments (configs/paper), checks them, and prepares them.
#
#   launch/fetch-data.sh --out DIR [--list] [--dry-run] [--only TEXT] [--raw] [--sources FILE]
#
# DIR is the folder that `grid ... --grid.data DIR` takes. A download that broke off goes on where it stopped. The first
# download of a file writes its SHA-256 into DIR/sources.lock; from then on a file with another checksum is refused,
# so that two people with one lock file have the same data. Files without a known address are asked for by name: put
# them where it says, and start the script again.
#
#   --list      shows every source: where from, licence, what to expect, whether it is here; changes nothing
#   --dry-run   shows what would be done; changes nothing
#   --only      the sources whose file name holds TEXT alone
#   --raw       downloads and checks, but does not prepare
#   --sources   another list than launch/lib/paper_sources.tsv
#
# Preparing needs the program: build/release/multigrnformer (launch/test.sh builds it), or MGRN_PROGRAM=FILE.
# shellcheck source-path=SCRIPTDIR
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/lib/common.sh"

out='' action=fetch only='' prepare=yes sources=$here/lib/paper_sources.tsv
while (($#)); do
  case $1 in
    --out | --only | --sources)
      (($# >= 2)) || fail "$1 needs a value" "launch/fetch-data.sh --help shows the usage."
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    --list) action=list ;;
    --dry-run) action=dry-run ;;
    --raw) prepare=no ;;
    --help)
      sed -n '3,19s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) fail "unknown argument '$1'" "launch/fetch-data.sh --help shows the usage." ;;
  esac
  shift
done
[[ -n $out || $action == list ]] || fail "no folder for the data" "Write launch/fetch-data.sh --out DIR."
[[ -r $sources ]] || fail "cannot read the list of sources '$sources'" "Give another one with --sources."
lock=$out/sources.lock
program=${MGRN_PROGRAM:-$MGRN_BUILD/multigrnformer}

# locked FILE: its checksum by the lock file, nothing when it has none.
locked() {
  [[ ! -r $lock ]] || awk -v file="$1" '$2 == file { print $1 }' "$lock"
}
checksum() { sha256sum "$1" | cut -d' ' -f1; }

# check FILE PATH: compares with the lock file; a file that is new to it is written into it.
check() {
  local file=$1 path=$2 sum known
  sum=$(checksum "$path")
  known=$(locked "$file")
  if [[ -z $known ]]; then
    printf '%s  %s\n' "$sum" "$file" >>"$lock"
    say "$file: new, SHA-256 $sum"
  elif [[ $known == "$sum" ]]; then
    say "$file: checked"
  else
    return 1
  fi
}
refuse() {
  fail "another file than before (file $1): expected SHA-256 $(locked "$2"), got $(checksum "$1")" \
    "Remove that file to fetch it again; if the source has a new version that you want, take its line out of $lock."
}

# download ADDRESS PATH: to PATH.part, going on where an earlier download stopped.
download() {
  local address=$1 path=$2 code=0
  local -a get=(curl --fail --location --retry 3 --retry-delay 2 --connect-timeout 30 --speed-limit 1000
    --speed-time 60 --output "$path.part")
  [[ -t 2 ]] && get+=(--progress-bar) || get+=(--silent --show-error)
  mkdir -p "$(dirname "$path")"
  local before=0
  [[ ! -e $path.part ]] || before=$(stat -c %s "$path.part")
  "${get[@]}" --continue-at - "$address" || code=$?
  # A server that cannot go on in the middle (33), or has nothing behind this part: it may be longer than the file, which
  # curl takes for complete.
  if ((before > 0 && (code == 33 || code == 0 && $(stat -c %s "$path.part") == before))); then
    say "$path: cannot go on in the middle, from the beginning"
    rm -f "$path.part"
    code=0
    "${get[@]}" "$address" || code=$?
  fi
  ((code == 0)) || fail "cannot download $address (file $path): curl ended with code $code" \
    "Check the network and start the script again: it goes on where it stopped."
}

# fetch FILE ADDRESS PAGE
fetch() {
  local file=$1 address=$2 page=$3 path=$out/$1
  if [[ -e $path ]]; then
    check "$file" "$path" || refuse "$path" "$file"
    return
  fi
  if [[ $address == - ]]; then
    missing+=("$file    from $page")
    return
  fi
  say "$file: downloading $address"
  download "$address" "$path"
  if ! check "$file" "$path.part"; then
    mv "$path.part" "$path.refused"
    refuse "$path.refused" "$file"
  fi
  mv "$path.part" "$path"
}

# unpack: the networks, as their archive has them, without its outermost folder.
unpack() {
  local archive=$out/networks/BEELINE-Networks.zip
  [[ -e $archive && ! -e $out/networks/mouse-tfs.csv ]] || return 0
  command -v unzip >/dev/null || fail "there is no unzip here" "Install unzip."
  local folder=$out/networks/.unpacking
  rm -rf "$folder"
  unzip -q "$archive" -d "$folder"
  local list
  list=$(find "$folder" -name mouse-tfs.csv -print -quit)
  [[ -n $list ]] || fail "no mouse-tfs.csv in it (file $archive)" "Is it BEELINE-Networks.zip?"
  cp -r "$(dirname "$list")/." "$out/networks/"
  rm -rf "$folder"
  say "networks: unpacked"
}

# prepare_one FILE: raw/NAME.h5 to prepared/NAME.h5, with the annotation of its organism.
prepare_one() {
  local name=${1##*/}
  name=${name%.h5}
  local organism=${name%%-*} target=$out/prepared/$name.h5
  [[ -e $out/$1 && ! -e $target ]] || return 0
  local annotation=$out/annotation/$organism.gtf.gz blacklist=$out/annotation/$organism-blacklist.bed.gz
  [[ -e $annotation ]] || fail "no annotation for $name (file $annotation)" "Fetch it: leave --only out."
  local -a more=()
  [[ ! -e $blacklist ]] || more=(--blacklist "$blacklist")
  mkdir -p "$out/prepared"
  say "$name: preparing"
  "$program" prepare --rna "$out/$1" --atac "$out/$1" --annotation "$annotation" "${more[@]}" --out "$target" >"$out/prepared/$name.txt"
}

rows=()
while IFS= read -r line; do
  [[ -z $line || $line == \#* ]] || rows+=("$line")
done <"$sources"
missing=() chosen=0
if [[ $action == fetch ]]; then
  command -v curl >/dev/null || fail "there is no curl here" "Install curl."
  mkdir -p "$out"
  exec {lock_handle}>"$out/.lock"
  flock -n "$lock_handle" || fail "another fetch-data.sh works in this folder (file $out)" "Wait for it, or give another --out."
fi
for line in "${rows[@]}"; do
  IFS=$'\t' read -r file address page licence expect <<<"$line"
  [[ $file == *"$only"* ]] || continue
  chosen=$((chosen + 1))
  case $action in
    list)
      state='not here'
      [[ -z $out || ! -e $out/$file ]] || state=here
      printf '%s (%s)\n  address  %s\n  page     %s\n  licence  %s\n  expect   %s\n' "$file" "$state" \
        "${address/#-/none known: get it from the page}" "$page" "$licence" "$expect"
      ;;
    dry-run)
      if [[ -e $out/$file ]]; then
        printf 'check     %s\n' "$file"
      elif [[ $address == - ]]; then
        printf 'ask for   %s from %s\n' "$file" "$page"
      else
        printf 'download  %s from %s\n' "$file" "$address"
      fi
      ;;
    fetch) fetch "$file" "$address" "$page" ;;
  esac
done
((chosen)) || fail "no source has '$only' in its name" "launch/fetch-data.sh --list shows all."
[[ $action == fetch ]] || exit 0

unpack
if [[ $prepare == yes ]]; then
  [[ -x $program ]] || fail "the program is not built (file $program)" \
    "Build it with launch/test.sh, name it with MGRN_PROGRAM, or give --raw."
  for line in "${rows[@]}"; do
    file=${line%%$'\t'*}
    [[ $file != raw/* || $file != *"$only"* ]] || prepare_one "$file"
  done
fi
if ((${#missing[@]})); then
  printf 'missing: %s\n' "${missing[@]}" >&2
  fail "${#missing[@]} files have no known address" "Get them from their pages, put them below $out, and start the script again."
fi
say "all data are in $out"
