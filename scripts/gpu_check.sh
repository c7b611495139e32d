#!/usr/bin/env bash
# Checks the numbers and the speed of this machine's GPU, within ten minutes: scripts/gpu_check.sh
# Runs from a checkout with torch and transformers alone; DeepSpeed, peft, flash attention, vLLM and mentor's own packages
# add parts where they are installed. It writes outputs/gpu_check/gpu_check.json and gpu_check.md.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
[ -x "$python" ] || python=python3
PYTHONPATH=. exec "$python" -m scripts.gpu_check.every_part "$@"
