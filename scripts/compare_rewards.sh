#!/usr/bin/env bash
# The paper's comparison on one run: RL with every project reward and several seeds from the same base and teacher set,
# then evaluation of all of them and the report.
#   scripts/compare_rewards.sh RUN "0 1 2" [overrides of rl such as trainer.steps=100]
set -euo pipefail
run=${1:?"usage: scripts/compare_rewards.sh RUN SEEDS [overrides]"}
seeds=${2:?"usage: scripts/compare_rewards.sh RUN SEEDS [overrides]"}
shift 2

for seed in $seeds; do
  for reward in sparse strict flexible; do
    mentor stage=rl run="$run" seed="$seed" reward="$reward" "$@"
  done
done
mentor stage=eval run="$run"
mentor stage=report run="$run"
