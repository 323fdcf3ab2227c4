#!/usr/bin/env bash
# What the README says of work on fnet: in a fresh clone the set-up, the demo, the site (with `test` as argument the fast
# tests, too), and the size of it all. Processor time, and the time on this machine as busy as it is.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone -q "$root" "$folder/fnet"
cd "$folder/fnet"
for target in setup demo docs "$@"; do
  TIMEFORMAT="make $target: %U s of processor time, %R s on this machine now"
  time make "$target" >"$folder/log" 2>&1 || { tail -20 "$folder/log"; exit 1; }
done
du -sm .venv
.venv/bin/python -c 'import os, platform; print(platform.machine(), os.cpu_count(), "cores, Python", platform.python_version())'
