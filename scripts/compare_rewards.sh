#!/usr/bin/env bash
# The paper's comparison: RL under every project reward and several seeds, from one base and one teacher set of a run
# that has them (stage=pretrain and stage=rollout), then the evaluation of every model and the report.
#   scripts/compare_rewards.sh RUN "0 1 2" [overrides that every stage takes, such as debug=default or logger=quiet]
set -euo pipefail
usage="usage: scripts/compare_rewards.sh RUN SEEDS [overrides]"
run=${1:?$usage} seeds=${2:?$usage}
shift 2
[ -n "${seeds//[[:space:]]/}" ] || { echo "SEEDS is blank, so nothing would be trained; $usage" >&2; exit 2; }

for seed in $seeds; do
  for reward in sparse strict flexible; do
    mentor stage=rl reward="$reward" seed="$seed" "$@" run="$run"
  done
done
mentor stage=eval "$@" run="$run"
for override in "$@"; do  # a report reads neither of these
  case "$override" in seed=* | overwrite=*) ;; *) set -- "$@" "$override" ;; esac
  shift
done
mentor stage=report "$@" run="$run"
