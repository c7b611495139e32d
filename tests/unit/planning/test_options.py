from dataclasses import replace

import pytest

from mentor.planning import Device, ModelShape, Workload, cheapest_fit, make_plan

EIGHT = ModelShape(151_936, 4096, 12_288, 36, 32, 8, 40_960, head_dim=128)
PAPER = Workload(
    EIGHT,
    Device(80.0),
    zero_stage=2,
    kl=True,
    gradient_checkpointing=True,
    micro_batch_tokens=16_384,
    max_tokens=9728,
    max_turn_tokens=8192,
    sampler="vllm",
    gpu_memory_share=0.35,
)


def test_what_fits_needs_nothing() -> None:
    assert cheapest_fit(replace(PAPER, num_processes=8, gpu_memory_share=0.3)) == []


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        (PAPER, ["trainer.deepspeed.offload=true"]),
        (replace(PAPER, num_processes=8), ["sampler.gpu_memory_share=0.3"]),
        (replace(PAPER, num_processes=4), ["trainer.reference_offload=true"]),
        (
            replace(PAPER, num_processes=4, device=Device(68.0)),
            ["trainer.reference_offload=true", "trainer/deepspeed=zero3", "sampler.gpu_memory_share=0.3"],
        ),
        (
            replace(PAPER, device=Device(80.0, host_gib=64.0), gpu_memory_share=0.3),  # too little for offload
            ["trainer.lora.rank=16"],
        ),
        (
            replace(PAPER, device=Device(24.0), lora_rank=16, micro_batch_tokens=9728),
            ["trainer/deepspeed=zero3_offload", "sampler.gpu_memory_share=0.8"],
        ),
        (
            replace(PAPER, num_processes=8, gpu_memory_share=0.1),  # too small for the model
            ["sampler.gpu_memory_share=0.3"],
        ),
    ],
)
def test_the_cheapest_that_fits(workload: Workload, expected: list[str]) -> None:
    assert make_plan(workload).misfits
    assert cheapest_fit(workload) == expected


def test_without_a_share_vllm_gets_the_largest_that_fits() -> None:
    free = replace(PAPER, num_processes=8, gpu_memory_share=None)
    plan = make_plan(free)
    assert plan.gpu_memory_share == 0.3 and not plan.misfits and cheapest_fit(free) == []
    assert cheapest_fit(replace(free, num_processes=1)) == ["trainer.deepspeed.offload=true"]
    small = make_plan(replace(free, device=Device(24.0)))
    assert small.misfits and all(phase.memory == "GPU" for phase in small.misfits)


def test_time_is_spent_before_the_method_is_changed() -> None:
    plain = replace(PAPER, num_processes=8, gpu_memory_share=0.3, gradient_checkpointing=False)
    assert cheapest_fit(plain) == ["trainer.gradient_checkpointing=true"]


def test_the_method_changes_last_and_not_at_all_where_it_must_not() -> None:
    tight = replace(PAPER, device=Device(24.0), lora_rank=16, max_tokens=32_768, micro_batch_tokens=32_768)
    assert cheapest_fit(tight, same_lengths=True) is None
    found = cheapest_fit(tight)
    assert found is not None
    assert any(line.startswith(("sampler.max_tokens=", "sampler.placement=")) for line in found)


def test_shorter_trajectories_bring_what_depends_on_their_length() -> None:
    small = replace(PAPER, device=Device(16.5), shape=replace(EIGHT, num_hidden_layers=8), max_tokens=32_768)
    found = cheapest_fit(replace(small, micro_batch_tokens=32_768, max_turn_tokens=32_768))
    assert found is None or len({line.partition("=")[0] for line in found}) == len(found)


def test_nothing_helps_a_model_that_is_too_large() -> None:
    assert cheapest_fit(replace(PAPER, device=Device(8.0))) is None


def test_caches_without_a_gpu_and_of_the_embedded_sampler() -> None:
    tiny = ModelShape(640, 128, 384, 4, 4, 2, 2048, tie_word_embeddings=True)
    cpu = Workload(tiny, Device(1.2, is_gpu=False), "float32", max_tokens=1024, sampler="transformers")
    assert cheapest_fit(cpu) == ["trainer.micro_batch_tokens=1024", "sampler.max_running=64"]
    vllm = replace(cpu, device=Device(256.0, is_gpu=False), sampler="vllm", kv_cache_gib=0.1, max_tokens=100_000)
    found = cheapest_fit(vllm)
    assert found is not None and "sampler.kv_cache_gib=0.2" in found


def test_muon_is_not_moved_to_deepspeed() -> None:
    found = cheapest_fit(replace(PAPER, zero_stage=0, optimizer="muon"))
    assert found is None or not any("deepspeed" in line for line in found)
