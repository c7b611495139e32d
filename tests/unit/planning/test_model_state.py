"""Weights, gradients and optimiser states, in bytes per parameter."""

from dataclasses import replace

import pytest

from mentor.planning import Device, TeacherWeights, make_plan
from mentor.planning.model_state import BUCKET_ELEMENTS
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


def test_plain_torch_holds_all_of_it_in_every_process_and_a_bucket_of_gradients() -> None:
    one, four = (replace(GPU, zero_stage=0, num_processes=count) for count in (1, 4))
    bucket = terms(four, "backward").pop("reduce buffers")
    assert bucket == pytest.approx(min(4 * BUCKET_ELEMENTS, 4 * N)) and "reduce buffers" not in terms(one, "backward")
    for name in ("weights", "moments", "gradients"):
        assert terms(four, "step")[name] == terms(one, "step")[name]


def test_float32_weights_stay_float32_under_deepspeed_and_get_no_narrow_copies() -> None:
    found = terms(replace(GPU, dtype="float32"), "backward")
    assert found["weights"] == pytest.approx(4 * N) and "bfloat16 copies" not in found
    assert terms(replace(GPU, zero_stage=0), "backward")["bfloat16 copies"] == pytest.approx(2 * N)


def test_gradients_of_a_minibatch_are_float32() -> None:
    """Bytes a parameter in the backward pass, and those that stay in a rollout."""
    for options, inside, outside in (
        ({"zero_stage": 0}, 4, 0),
        ({"zero_stage": 1, "num_processes": 4}, 4, 4),  # DeepSpeed's optimiser of this case keeps all of them
        ({"zero_stage": 1, "num_processes": 4, "dtype": "float32"}, 4, 0),
        ({"num_processes": 4}, 1, 0),
        ({"zero_stage": 3, "num_processes": 4}, 1, 1),
    ):
        workload = replace(GPU, **options)
        assert terms(workload, "backward")["gradients"] == pytest.approx(inside * N), options
        assert terms(workload, "rollout").get("gradients", 0) == pytest.approx(outside * N), options
    own = 4 * (N / 4 + SHAPE.largest)  # the largest parameter is whole wherever a part of it lies
    assert terms(replace(GPU, num_processes=4, dtype="float32"), "step")["gradients"] == pytest.approx(own)
    assert "gradients" not in terms(replace(GPU, offload=True), "step")


def test_what_zero_copies_to_update_and_plain_torch_does_not() -> None:
    name = "gradients at work"
    assert terms(GPU, "step")[name] == pytest.approx(4 * SHAPE.largest)
    assert terms(replace(GPU, zero_stage=1), "step")[name] == pytest.approx(2 * N)  # of the last micro-batch
    assert terms(replace(GPU, zero_stage=3), "step")[name] == pytest.approx(4 * N)
    assert terms(replace(GPU, dtype="float32"), "step")[name] == pytest.approx(4 * N)
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


def test_a_teacher_lies_beside_the_policy_or_comes_to_score() -> None:
    big = replace(SHAPE, num_hidden_layers=2 * SHAPE.num_hidden_layers)
    here = replace(GPU, num_processes=2, teacher=TeacherWeights(big, width=2))
    for phase in ("start", "rollout", "logprobs", "backward", "step", "push", "save"):
        assert terms(here, phase)["teacher"] == pytest.approx(2 * big.parameters)
    away = replace(here, teacher=TeacherWeights(big, width=2, offload=True))
    assert "teacher" not in terms(away, "step") and "teacher" not in terms(replace(away, zero_stage=3), "logprobs")
    apart = replace(away, kl=False)
    assert terms(apart, "logprobs")["teacher"] == host(make_plan(apart), "run")["teacher"] / 2 == 2 * big.parameters
    assert terms(replace(here, zero_stage=3), "step")["teacher"] == pytest.approx(big.parameters)
    machine = replace(here, device=Device(80.0, is_gpu=False))
    moved = replace(machine, teacher=TeacherWeights(big, width=2, offload=True))
    assert make_plan(moved).peak.total == pytest.approx(make_plan(machine).peak.total)


def test_a_base_in_four_bits_takes_an_eighth_of_float32_but_for_its_embeddings() -> None:
    workload = replace(GPU, zero_stage=0, lora_rank=16, quantized=True)
    rest = N - SHAPE.matrices
    found = terms(workload, "backward")
    expected = 4 * (rest + SHAPE.adapters(16)) + 4.127 / 8 * SHAPE.matrices
    assert found["weights"] == pytest.approx(expected)
    assert found["bfloat16 copies"] == pytest.approx(2 * (rest + SHAPE.largest_linear))


def test_adapters_train_little_and_need_no_reference() -> None:
    adapters = SHAPE.adapters(16)
    found = terms(replace(GPU, lora_rank=16), "backward")
    assert found["weights"] == pytest.approx(2 * (N + adapters))
    assert found["moments"] == pytest.approx(8 * adapters)
    assert "reference" not in found and "head gradient" not in found
    save = terms(replace(GPU, lora_rank=16), "save")
    assert save["one parameter"] == pytest.approx(16 * SHAPE.largest_linear)
