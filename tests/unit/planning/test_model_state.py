"""Weights, gradients and optimiser states, in bytes per parameter."""

from dataclasses import replace

import pytest

from mentor.planning import Device, make_plan
from tests.unit.planning.workloads import GPU, SHAPE, N, host, terms


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


def test_an_offloaded_reference_is_on_the_gpu_only_while_logprobs_are_computed() -> None:
    away = replace(GPU, reference_offload=True, num_processes=2)
    for phase in ("start", "rollout", "backward", "step", "push", "save"):
        assert "reference" not in terms(away, phase) and terms(replace(GPU), phase)["reference"] == 2 * N
    assert terms(away, "logprobs")["reference"] == pytest.approx(2 * N)
    assert host(make_plan(away), "run")["reference"] == pytest.approx(2 * 2 * N)
    plain = replace(away, zero_stage=0, num_processes=1)
    assert terms(plain, "logprobs")["reference"] == host(make_plan(plain), "run")["reference"] == pytest.approx(4 * N)
    partitioned = replace(away, zero_stage=3)
    assert "reference" not in terms(partitioned, "logprobs")
    assert host(make_plan(partitioned), "run")["reference"] == pytest.approx(2 * N)
    machine = replace(away, device=Device(80.0, is_gpu=False), reference_offload=False)
    assert make_plan(replace(machine, reference_offload=True)) == make_plan(machine)
    assert host(make_plan(replace(away, kl=False)), "run").keys() == {"processes"}


def test_adapters_train_little_and_need_no_reference() -> None:
    adapters = SHAPE.adapters(16)
    found = terms(replace(GPU, lora_rank=16), "backward")
    assert found["weights"] == pytest.approx(2 * (N + adapters))
    assert found["moments"] == pytest.approx(8 * adapters)
    assert "reference" not in found and "head gradient" not in found
    save = terms(replace(GPU, lora_rank=16), "save")
    assert save["one parameter"] == pytest.approx(16 * SHAPE.largest_linear)
