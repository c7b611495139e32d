#!/usr/bin/env bash
# GSM8K from worked solutions to a report: teacher trajectories, a student from scratch, SFT, RL, evaluation.
# The tiny student's number is low, as it should be: it has read nothing but short calculator questions.
#   scripts/gsm8k.sh train.jsonl.gz test.jsonl RUN [steps of rl]
set -euo pipefail
usage="usage: scripts/gsm8k.sh TRAIN TEST RUN [RL_STEPS]"
train=${1:?$usage} test=${2:?$usage} run=${3:?$usage} steps=${4:-3}

mentor stage=rollout run="$run" task=gsm8k task.path="$train" teacher=annotated
mentor stage=pretrain run="$run" model=tiny
mentor stage=sft run="$run"
mentor stage=rl run="$run" reward=flexible trainer.steps="$steps"
mentor stage=eval run="$run" benchmark=gsm8k benchmark.gsm8k.task.path="$test"
mentor stage=report run="$run"
