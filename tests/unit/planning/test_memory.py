"""Phases against numbers worked out by hand, for a model of round sizes."""

from dataclasses import replace

import pytest

from mentor.planning import Device, ModelShape, Plan, Workload, make_plan
from mentor.planning.activations import CHUNK_ELEMENTS
from mentor.planning.memory import FREE_SHARE
from mentor.planning.rollout_memory import OWN_GPU_SHARE, SAMPLE_ELEMENTS, VLLM_WORK_GIB
from mentor.planning.table import refusal, table
from mentor.planning.terms import GIB

SHAPE = ModelShape(50_000, 1000, 4000, 10, 10, 5, 4096, head_dim=100)
N = SHAPE.parameters
GPU = Workload(SHAPE, Device(80.0), "bfloat16", zero_stage=2, kl=True, sampler="none", gradient_checkpointing=True)


def terms(workload: Workload, phase: str) -> dict[str, float]:
    """Bytes by name."""
    (found,) = [entry for entry in make_plan(workload).phases if entry.name == phase and entry.memory != "host"]
    return {name: size * GIB for name, size in found.terms.items()}


def host(plan: Plan, phase: str) -> dict[str, float]:
    (found,) = [entry for entry in plan.phases if entry.name == phase and entry.memory == "host"]
    return {name: size * GIB for name, size in found.terms.items()}


def test_the_shape_is_what_the_other_tests_reckon_with() -> None:
    layer = 2 * 1000 * 1000 + 2 * 1000 * 500 + 3 * 1000 * 4000 + 2 * 1000
    assert 10 * layer + 2 * 50_000_000 + 1000 == N and SHAPE.largest == 50_000_000


@pytest.mark.parametrize(
    ("stage", "offload", "processes", "expected"),
    [  # bytes a parameter of weights, master, moments and reference
        (0, False, 1, (4, 0, 8, 4)),
        (1, False, 4, (2, 1, 2, 2)),
        (2, False, 4, (2, 1, 2, 2)),
        (3, False, 4, (0.5, 1, 2, 0.5)),
        (2, True, 4, (2, 0, 0, 2)),
        (3, True, 4, (0, 0, 0, 0)),
    ],
)
def test_what_lasts_is_shared_out_as_the_stage_says(stage, offload, processes, expected) -> None:
    found = terms(replace(GPU, zero_stage=stage, offload=offload, num_processes=processes), "rollout")
    names = ("weights", "float32 master", "moments", "reference")
    assert tuple(found.get(name, 0) / N for name in names) == pytest.approx(expected)


def test_float32_weights_stay_float32_under_deepspeed_and_get_no_narrow_copies() -> None:
    found = terms(replace(GPU, dtype="float32"), "backward")
    assert found["weights"] == pytest.approx(4 * N) and "bfloat16 copies" not in found
    assert terms(replace(GPU, zero_stage=0), "backward")["bfloat16 copies"] == pytest.approx(2 * N)


def test_gradients_of_a_minibatch() -> None:
    assert terms(replace(GPU, zero_stage=0), "step")["gradients"] == pytest.approx(4 * N)
    assert terms(replace(GPU, zero_stage=1, num_processes=4), "step")["gradients"] == pytest.approx(2 * N)
    own = 2 * (N / 4 + SHAPE.largest)  # the largest parameter is whole wherever a part of it lies
    assert terms(replace(GPU, num_processes=4), "step")["gradients"] == pytest.approx(own)
    assert terms(GPU, "step")["gradients"] == pytest.approx(2 * N)
    assert terms(replace(GPU, zero_stage=3, num_processes=4), "step")["gradients"] == pytest.approx(2 * N / 4)
    assert "gradients" not in terms(replace(GPU, offload=True), "step")


def test_zero_updates_wide_gradients_and_plain_torch_makes_nothing() -> None:
    name = "float32 gradients, AdamW at work"
    assert terms(GPU, "step")[name] == pytest.approx(6 * N)  # 4 + 4, less the narrow ones that are gone by then
    assert terms(replace(GPU, zero_stage=3), "step")[name] == pytest.approx(8 * N)
    assert name not in terms(replace(GPU, zero_stage=0), "step")
    assert name not in terms(replace(GPU, offload=True), "step")


def test_adapters_train_little_and_need_no_reference() -> None:
    adapters = SHAPE.adapters(16)
    found = terms(replace(GPU, lora_rank=16), "backward")
    assert found["weights"] == pytest.approx(2 * (N + adapters))
    assert found["moments"] == pytest.approx(8 * adapters)
    assert "reference" not in found and "head gradient" not in found


def test_activations_with_and_without_recomputing() -> None:
    workload = replace(GPU, micro_batch_tokens=20_000, max_tokens=1000)
    saved = 16 * 1000 + 14 * 1000 + 8 * 500 + 8 * 4000  # bytes of a layer, per token
    mask = 3 * 20_000 * 1000
    found = terms(workload, "backward")
    assert found["kept activations"] == pytest.approx(10 * 2 * 1000 * 20_000)
    assert found["layer at work"] == pytest.approx(20_000 * (saved + 2 * (2 * 4000 + 3 * 1000)) + mask)
    found = terms(replace(workload, gradient_checkpointing=False), "backward")
    assert found["kept activations"] == pytest.approx(10 * saved * 20_000)


def test_one_trajectory_is_not_divided() -> None:
    long = terms(replace(GPU, micro_batch_tokens=2000, max_tokens=9000), "backward")
    assert long["kept activations"] == pytest.approx(10 * 2 * 1000 * 9000)
    assert replace(GPU, micro_batch_tokens=2000, max_tokens=9000).tokens == 9000


def test_the_head_has_its_turn_where_the_vocabulary_is_large() -> None:
    wide = ModelShape(200_000, 1000, 1000, 1, 10, 5, 4096, head_dim=100)
    found = terms(replace(GPU, shape=wide, micro_batch_tokens=1000, max_tokens=1000), "backward")
    assert found["head gradient"] == pytest.approx(6 * 200_000_000)
    assert found["logits chunk"] == pytest.approx(12 * CHUNK_ELEMENTS["cuda"])


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


def test_host_memory_of_offload_and_of_the_start() -> None:
    plan = make_plan(replace(GPU, zero_stage=3, offload=True, num_processes=4))
    lasting = host(plan, "run")
    assert lasting["states"] == pytest.approx(12 * N) and lasting["gradients"] == pytest.approx(6 * N)
    assert lasting["weights"] == pytest.approx(2 * N) and lasting["reference"] == pytest.approx(2 * N)
    assert host(plan, "start")["weights being read"] == pytest.approx(4 * 2 * N)
    assert "states" not in host(make_plan(GPU), "run")


def test_without_a_gpu_everything_is_in_a_processes_share_of_the_machine() -> None:
    workload = Workload(SHAPE, Device(8.0, is_gpu=False), "float32", max_running=64, max_tokens=1000)
    plan = make_plan(workload)
    assert {phase.memory for phase in plan.phases} == {"process"}
    assert all(phase.available == pytest.approx(8 * (1 - FREE_SHARE)) for phase in plan.phases)
    rollout = terms(workload, "rollout")
    assert rollout["key-value cache"] == pytest.approx(4 * 2 * 10 * 500 * 1000 * 64)
    assert rollout["sampling"] == pytest.approx(4 * 8 * 64 * 50_000) and "processes" in rollout
    vllm = make_plan(replace(workload, device=Device(64.0, is_gpu=False), sampler="vllm", kv_cache_gib=0.01))
    assert [phase.memory for phase in vllm.misfits] == ["vLLM's cache"]


def test_the_plan_knows_the_constants_of_what_it_plans() -> None:
    from mentor.planning.host_memory import SHARD
    from mentor.policy import head, state
    from mentor.sampling import transformers_sampler, vllm_engine

    assert head.CHUNK_ELEMENTS == CHUNK_ELEMENTS and state.SHARD_BYTES == SHARD
    assert transformers_sampler.SAMPLE_ELEMENTS == SAMPLE_ELEMENTS and vllm_engine.OWN_GPU_SHARE == OWN_GPU_SHARE


def test_the_table_has_a_line_for_each_phase_and_a_refusal_is_one_line() -> None:
    workload = replace(GPU, device=Device(4.0, host_gib=64.0), sampler="vllm", max_tokens=1000)
    plan = make_plan(workload)
    lines = table(plan).splitlines()
    assert len(lines) == 1 + len(plan.phases) and lines[1].startswith("GPU           start")
    assert "moments 1.8" in lines[2] and "64.0" in lines[-1]
    text = refusal(workload, plan.worst, ["a=1", "b=2"])
    assert text.startswith("step needs ") and "3.8 of 4.0 are available (6% stay free); this fits: a=1 b=2" in text
    assert "no other setting fits" in refusal(workload, plan.worst, None)
    small = replace(workload, gpu_memory_share=0.1)
    share = next(phase for phase in make_plan(small).misfits if phase.memory == "vLLM's share")
    assert "`sampler.gpu_memory_share=0.1` of 4.0 GiB is 0.4" in refusal(small, share, None)
