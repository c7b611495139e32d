"""What sampling needs in memory."""

from dataclasses import replace

import pytest

from mentor.planning import Device, make_plan
from mentor.planning.host_memory import CPU_PROCESS_GIB, PROCESS_GIB
from mentor.planning.rollout_memory import OWN_GPU_SHARE, VLLM_WORK_GIB
from mentor.planning.terms import GIB
from tests.unit.planning.workloads import GPU, N, terms


def test_vllm_has_its_share_only_while_trajectories_run() -> None:
    workload = replace(GPU, sampler="vllm", gpu_memory_share=0.4, max_tokens=1000)
    for phase in ("rollout", "save"):
        assert terms(workload, phase)["vLLM's share"] == pytest.approx(0.4 * 80 * GIB)
    for phase in ("logprobs", "backward", "step"):
        assert terms(workload, phase)["vLLM asleep"] == pytest.approx(VLLM_WORK_GIB * GIB)
        assert "vLLM's share" not in terms(workload, phase)
    cache = 2 * 2 * 10 * 500 * 1000  # bytes: keys and values, bfloat16, layers, features, tokens
    assert terms(workload, "one sequence")["cache of one sequence"] == pytest.approx(cache)
    left = 0.4 * 80 * GIB - 2 * N - VLLM_WORK_GIB * GIB
    assert make_plan(workload).sequences == pytest.approx(left / cache)


def test_a_separate_vllm_has_a_gpu_of_its_own() -> None:
    workload = replace(GPU, sampler="vllm", placement="separate", tensor_parallel=2)
    plan = make_plan(workload)
    assert not any("vLLM" in name for phase in plan.phases if phase.memory == "GPU" for name in phase.terms)
    (own,) = [phase for phase in plan.phases if phase.memory == "vLLM's GPU"]
    assert own.total == pytest.approx(OWN_GPU_SHARE * 80)
    assert terms(workload, "one sequence")["weights"] == pytest.approx(2 * N / 2)


def test_an_embedded_sampler_in_processes_of_its_own_takes_nothing_of_the_policys_gpu() -> None:
    shared = replace(GPU, sampler="transformers", max_running=64, max_tokens=1000)
    workload = replace(shared, placement="separate", engines=3)
    cache = terms(shared, "rollout")["key-value cache"]
    plan = make_plan(workload)
    assert not any("cache" in name for phase in plan.phases if phase.memory == "GPU" for name in phase.terms)
    (own,) = [phase for phase in plan.phases if phase.memory == "the sampler's GPU"]
    assert own.terms["weights"] == pytest.approx(4 * N / GIB)
    assert own.terms["key-value cache"] == pytest.approx(cache / GIB)
    run = next(phase for phase in plan.phases if phase.memory == "host" and phase.name == "run")
    assert run.terms["weights on their way to engines"] == pytest.approx(4 * N / GIB)
    assert run.terms["samplers"] == 3 * PROCESS_GIB
    on_cpu = make_plan(replace(workload, device=Device(64.0, is_gpu=False)))
    run = next(phase for phase in on_cpu.phases if phase.name == "rollout")
    assert run.terms["samplers"] > 3 * (CPU_PROCESS_GIB + (4 * N + cache) / GIB)
