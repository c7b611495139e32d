"""The plan beside what torch and DeepSpeed allocate, on a CPU: one process, a model large enough that sizes show."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mentor.planning import Workload, make_plan
from tests.fixtures.policies import build_policy
from tests.unit.planning import live_memory
from tests.unit.planning.live_memory import OPTIMIZER, make_model, make_workload, measure


def compare(workload: Workload, measured: dict[str, float]) -> None:
    """Never much less than what is needed, and not four tenths more; of gathered layers the plan takes the most.

    What is measured lacks the exponentials that logsumexp makes inside itself, with adapters a fifth of all.
    """
    ratios = {}
    for phase in make_plan(workload).phases:
        if phase.name in measured:
            planned = 2**10 * sum(size for name, size in phase.terms.items() if name != "processes")
            ratios[phase.name] = planned / measured[phase.name]
    assert set(ratios) == {"logprobs", "backward", "step"}
    assert all(0.95 <= ratio <= 1.4 for ratio in ratios.values()), ratios


@pytest.mark.parametrize("recompute", [False, True])
def test_plain_torch(recompute: bool) -> None:
    workload = make_workload("float32", 0, recompute, 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        policy = build_policy(make_model(workload), None, OPTIMIZER, micro_batch_tokens=workload.micro_batch_tokens)
        compare(workload, measure(policy, []))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.proof
@pytest.mark.parametrize(("stage", "recompute", "rank"), [(1, True, 0), (2, False, 0), (2, True, 8), (3, True, 0)])
def test_deepspeed(stage: int, recompute: bool, rank: int) -> None:
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(live_memory.__file__)), str(stage), str(recompute), str(rank)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **alone})
    assert done.returncode == 0, done.stderr
    compare(make_workload("bfloat16", stage, recompute, rank), json.loads(done.stdout.splitlines()[-1]))
