#!/usr/bin/env bash
# From a clone to a prediction, as the README says it: processor time of all, then of the prediction, and the size.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
TIMEFORMAT='from clone to prediction: %U s of processor time, %R s on this machine now'
time {
  git clone -q "$root" fnet && cd fnet && python3 -m venv env && . env/bin/activate && pip install -q .
  fnet predict examples/models/nusax-lstm.safetensors --text 'pelayanannya ramah sekali'
}
TIMEFORMAT='the prediction alone: %U s of processor time, %R s on this machine now'
time fnet predict examples/models/nusax-lstm.safetensors --text 'pelayanannya ramah sekali'
du -scm env/lib/python*/site-packages/{numpy*,fnet*} | tail -1
python -c 'import platform, numpy; print(platform.machine(), "Python", platform.python_version(), "NumPy", numpy.__version__)'
