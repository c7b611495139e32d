#!/usr/bin/env bash
# Update speed and memory of this machine's GPU against the plan of stage=check: scripts/gpu_check.sh [options of gpu_check.py]
# Runs from a checkout with the packages that are there; PYTHON chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-}
if [ -z "$python" ]; then
  python=python3
  [ -x .venv/bin/python ] && python=.venv/bin/python
fi
exec env PYTHONPATH=. "$python" scripts/gpu_check.py "$@"
