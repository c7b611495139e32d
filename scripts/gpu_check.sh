#!/usr/bin/env bash
# Measures policy updates on this machine's GPU and compares their memory with the plan: scripts/gpu_check.sh
# Runs from a checkout with the packages that are there: torch and transformers; DeepSpeed and liger-kernel if installed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
[ -x "$python" ] || python=python3
PYTHONPATH=. exec "$python" scripts/gpu_check.py "$@"
