#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_logged.sh LOG COMMAND...: runs COMMAND with its messages in LOG, and shows them where it fails.
log=$1
shift
"$@" >"$log" 2>&1 || {
  status=$?
  cat "$log" >&2
  exit "$status"
}
