"""What a forward and a backward pass keep, worked out by hand."""

from dataclasses import replace

import pytest

from mentor.planning import ModelShape
from mentor.planning.activations import CHUNK_ELEMENTS
from tests.unit.planning.workloads import GPU, terms


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
