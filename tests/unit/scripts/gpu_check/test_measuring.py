"""Figures and their limits, and what every part measures with."""

import math

import pytest
import torch

from scripts.gpu_check.measuring import Figure, make_model, random_records, relative, shape_of, timed, torch_policy


@pytest.mark.parametrize(
    ("value", "low", "high", "ok"),
    [
        (1.0, None, None, True),
        (math.nan, None, None, True),
        (1.0, None, 1.0, True),
        (1.1, None, 1.0, False),
        (math.nan, None, 1.0, False),
        (0.8, 0.85, 1.15, False),
        (1.0, 0.85, 1.15, True),
    ],
)
def test_a_figure_keeps_its_limits(value, low, high, ok):
    assert Figure("f", value, "", low, high).ok is ok


def test_a_model_has_the_shape_of_its_preset():
    shape = shape_of("tiny")
    model = make_model(shape, num_hidden_layers=1)
    assert model.config.hidden_size == shape.hidden_size and model.config.num_hidden_layers == 1
    assert sum(p.numel() for p in make_model(shape).parameters()) == pytest.approx(shape.parameters, rel=1e-2)
    sharp = make_model(shape, sharp=True, num_hidden_layers=1).get_input_embeddings().weight
    assert torch.equal(sharp, 4 * model.get_input_embeddings().weight)
    assert shape_of("qwen3_8b").tie_word_embeddings is False and shape.tie_word_embeddings is True


def test_records_are_random_and_an_eighth_is_prompt():
    one, other = random_records(50, [16, 9])
    assert (len(one), sum(one.loss_mask), len(other), sum(other.loss_mask)) == (16, 14, 9, 8)
    assert random_records(50, [16])[0].token_ids == one.token_ids
    policy = torch_policy(make_model(shape_of("tiny"), num_hidden_layers=1), torch.float32, 64, packing=True)
    assert policy.packing and policy.micro_batch_tokens == 64


def test_differences_are_relative_to_the_largest_value():
    assert relative(torch.tensor([1.0, -4.0]), torch.tensor([1.5, -5.0])) == pytest.approx(0.2)


def test_the_mean_of_several_calls_is_timed():
    calls = []
    seconds, peak = timed(lambda: calls.append(1), 3)
    assert len(calls) == 3 and seconds >= 0 and (peak == 0) == (not torch.cuda.is_available())
