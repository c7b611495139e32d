"""The machine's own memory."""

from dataclasses import replace

import pytest

from mentor.planning import make_plan
from tests.unit.planning.workloads import GPU, N, host


def test_host_memory_of_offload_and_of_the_start() -> None:
    plan = make_plan(replace(GPU, zero_stage=3, offload=True, num_processes=4))
    lasting = host(plan, "run")
    assert lasting["states"] == pytest.approx(12 * N) and lasting["gradients"] == pytest.approx(8 * N)
    assert lasting["weights"] == pytest.approx(2 * N) and lasting["reference"] == pytest.approx(2 * N)
    assert host(plan, "start")["weights being read"] == pytest.approx(4 * 2 * N)
    assert "states" not in host(make_plan(GPU), "run")


def test_of_two_nodes_each_holds_half_of_what_is_partitioned_and_its_own_processes() -> None:
    one = make_plan(replace(GPU, zero_stage=3, offload=True, num_processes=4))
    two = make_plan(replace(GPU, zero_stage=3, offload=True, num_processes=4, nodes=2))
    assert host(two, "run") == {name: pytest.approx(value / 2) for name, value in host(one, "run").items()}
    assert host(two, "start")["weights being read"] == pytest.approx(2 * 2 * N)
    assert host(two, "save")["what is written"] == host(one, "save")["what is written"]
    assert [phase for phase in two.phases if phase.memory == "GPU"] == [p for p in one.phases if p.memory == "GPU"]


def test_a_base_of_adapters_waits_in_host_memory_while_vllm_sleeps() -> None:
    colocated = replace(GPU, sampler="vllm", lora_rank=16)
    adapters = GPU.shape.adapters(16)
    assert host(make_plan(colocated), "run")["vLLM asleep"] == pytest.approx(2 * (N + adapters))
    assert not host(make_plan(replace(colocated, lora_rank=0)), "run").get("vLLM asleep")
    separate = host(make_plan(replace(colocated, placement="separate")), "run")
    assert separate["weights on their way to engines"] == pytest.approx(2 * adapters)
    assert not separate.get("vLLM asleep")


def test_a_model_with_its_adapters_merged_in_is_written_in_float32() -> None:
    assert host(make_plan(replace(GPU, lora_rank=16)), "save")["what is written"] == pytest.approx(4 * N)


def test_weights_for_engines_of_their_own_are_written_once_for_all_processes_of_a_node() -> None:
    separate = replace(GPU, sampler="vllm", placement="separate", num_processes=4, zero_stage=3)
    assert host(make_plan(separate), "run")["weights on their way to engines"] == pytest.approx(2 * N)
