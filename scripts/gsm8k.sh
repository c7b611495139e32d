#!/usr/bin/env bash
# GSM8K from worked solutions to a report: teacher trajectories, a student from scratch, SFT, RL, evaluation.
# The tiny student's number is low, as it should be: it has read nothing but short calculator questions.
#   scripts/gsm8k.sh TRAIN TEST RUN RL_STEPS [overrides that every stage takes, such as debug=default or logger=quiet]
set -euo pipefail
usage="usage: scripts/gsm8k.sh TRAIN TEST RUN RL_STEPS [overrides]"
train=${1:?$usage} test=${2:?$usage} run=${3:?$usage} steps=${4:?$usage}
shift 4

mentor stage=rollout task=gsm8k task.path="$train" teacher=annotated "$@" run="$run"
mentor stage=pretrain model=tiny "$@" run="$run"
mentor stage=sft "$@" run="$run"
mentor stage=rl reward=flexible trainer.steps="$steps" "$@" run="$run"
mentor stage=eval benchmark=gsm8k benchmark.gsm8k.task.path="$test" "$@" run="$run"
for override in "$@"; do  # a report reads neither of these
  case "$override" in seed=* | overwrite=*) ;; *) set -- "$@" "$override" ;; esac
  shift
done
mentor stage=report "$@" run="$run"
