"""The size of micro-batches that is timed: which are tried, which is chosen, and that nothing else changes."""

import random

import pytest
import torch

from mentor.policy import micro_batch_size
from mentor.policy.lora import add_adapters
from mentor.policy.micro_batch_size import NEAR, SAMPLE_TOKENS, fastest_size
from mentor.policy.supervised import supervised_loss
from tests.fixtures.policies import make_batch, make_policy, weights_of
from tests.fixtures.students import make_small_student


@pytest.mark.parametrize("adapters", [False, True])
def test_timing_leaves_everything_as_it_was(chat, adapters):
    found = []
    for timed in (False, True):
        model = make_small_student(chat)
        if adapters:
            torch.manual_seed(0)
            add_adapters(model, rank=4, alpha=8)
        policy, batch = make_policy(model, chat, micro_batch_tokens=40), make_batch()
        torch.manual_seed(5)
        random.seed(5)
        if timed:
            size, seconds = fastest_size(policy, batch, (20, 40, 80))
            assert size in seconds and all(taken > 0 for taken in seconds.values())
        assert policy.micro_batch_tokens == 40
        assert all(parameter.grad is None for parameter in policy.model.parameters())
        drawn = torch.rand(3), random.random()
        policy.update(batch, supervised_loss)
        found.append((drawn, weights_of(policy)))
    (numbers, weights), (again, others) = found
    assert torch.equal(numbers[0], again[0]) and numbers[1] == again[1]
    assert all(torch.equal(value, others[name]) for name, value in weights.items())


@pytest.mark.parametrize(
    ("taken", "chosen", "tried"),
    [
        ([2.0, 1.0, 0.99, 1.2], 20, [10, 20, 30, 40]),  # 30 is faster by less than 2 %
        ([1.0, 0.8, 0.6, 0.5], 40, [10, 20, 30, 40]),
        ([1.0, 1.2, 0.5, 0.5], 10, [10, 20]),  # none after one that is slower by more than a tenth
    ],
)
def test_the_smallest_of_the_fastest_is_chosen(student, chat, monkeypatch, taken, chosen, tried):
    """The clock is set; the computations are real."""
    times = iter([0.0, 9.0, *(second for value in taken for second in (0.0, value + 5.0, 0.0, value))])
    monkeypatch.setattr(micro_batch_size, "_now", lambda device: next(times))
    size, seconds = fastest_size(make_policy(student, chat), make_batch(), (10, 20, 30, 40))
    assert size == chosen and list(seconds) == tried and NEAR * 0.99 > 1.0


def test_sizes_beyond_the_whole_batch_are_not_tried(student, chat):
    batch = make_batch()
    _, seconds = fastest_size(make_policy(student, chat), batch, (10_000, 20_000, 40_000))
    assert batch.token_ids.numel() < 10_000 and list(seconds) == [10_000]


def test_the_sample_is_of_the_first_rows_whose_prompts_are_shared():
    batch = make_batch(count=3000)
    sample = micro_batch_size._sample(batch)
    assert SAMPLE_TOKENS - 50 < int(sample.attention.sum()) <= SAMPLE_TOKENS
    assert torch.equal(sample.token_ids, batch.token_ids[: len(sample)])
    assert len(micro_batch_size._sample(make_batch(count=1))) == 1
