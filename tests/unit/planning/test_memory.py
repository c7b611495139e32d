"""The phases of a plan, for a model of round sizes."""

from dataclasses import replace

import pytest

from mentor.planning import Device, Workload, make_plan
from mentor.planning.activations import CHUNK_ELEMENTS
from mentor.planning.memory import FREE_SHARE
from mentor.planning.rollout_memory import OWN_GPU_SHARE, SAMPLE_ELEMENTS
from tests.unit.planning.workloads import SHAPE, N, terms


def test_the_shape_is_what_the_other_tests_reckon_with() -> None:
    layer = 2 * 1000 * 1000 + 2 * 1000 * 500 + 3 * 1000 * 4000 + 2 * 1000
    assert 10 * layer + 2 * 50_000_000 + 1000 == N and SHAPE.largest == 50_000_000


def test_without_a_gpu_everything_is_in_a_processes_share_of_the_machine() -> None:
    workload = Workload(SHAPE, Device(8.0, is_gpu=False), "float32", max_running=64, max_tokens=1000)
    plan = make_plan(workload)
    assert {phase.memory for phase in plan.phases} == {"process"}
    assert all(phase.available == pytest.approx(8 * (1 - FREE_SHARE)) for phase in plan.phases)
    rollout = terms(workload, "rollout")
    assert rollout["key-value cache"] == pytest.approx(4 * 2 * 10 * 500 * 1000 * 64)
    assert rollout["sampling"] == pytest.approx(4 * 8 * 2**19) and "processes" in rollout
    vllm = make_plan(replace(workload, device=Device(64.0, is_gpu=False), sampler="vllm", kv_cache_gib=0.01))
    assert [phase.memory for phase in vllm.misfits] == ["vLLM's cache"]


def test_the_plan_knows_the_constants_of_what_it_plans() -> None:
    from mentor.planning.host_memory import SHARD
    from mentor.policy import lm_head, state
    from mentor.sampling import token_sampling, vllm_engine

    assert lm_head.CHUNK_ELEMENTS == CHUNK_ELEMENTS and state.SHARD_BYTES == SHARD
    assert token_sampling.PART_ELEMENTS == SAMPLE_ELEMENTS and vllm_engine.OWN_GPU_SHARE == OWN_GPU_SHARE
