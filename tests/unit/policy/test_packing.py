import pytest
import torch

from mentor.algorithm.loss import LossSettings
from mentor.policy.packing import first_fit, packed_parts
from mentor.rl.update import make_loss_function
from tests.fixtures.flash import attend_by_lengths
from tests.fixtures.policies import gradients_of, make_batch, make_policy
from tests.fixtures.students import make_small_student


def test_first_fit_by_hand():
    # rows of 10: 6+4, 5+3, and the 7 finds no row
    taken, packing = first_fit([6, 5, 7, 4, 3], width=10, rows=2)
    assert taken == [0, 1, 3, 4]
    assert packing.places.tolist() == [0, 10, 6, 15]
    ids = torch.tensor([[1] * 6, [2] * 5 + [0], [3] * 4 + [0] * 2, [4] * 3 + [0] * 3])
    attention = ids > 0
    token_ids, positions = packing.pack(ids, attention)
    assert token_ids.tolist() == [[1] * 6 + [3] * 4, [2] * 5 + [4] * 3 + [0, 0]]
    assert positions.tolist() == [[0, 1, 2, 3, 4, 5, 0, 1, 2, 3], [0, 1, 2, 3, 4, 0, 1, 2, 0, 0]]


def test_every_sequence_is_in_one_part_within_the_budget():
    lengths = torch.tensor([3, 17, 9, 40, 12, 12, 5, 8, 21, 33])
    seen = []
    for rows, packing in packed_parts(lengths, 45):
        assert packing.count * packing.width <= 45
        seen += rows.tolist()
    assert sorted(seen) == list(range(10))
    ((rows, packing),) = packed_parts(torch.tensor([50]), 45)
    assert (packing.count, packing.width) == (1, 50)  # longer than the budget: alone


def test_by_lengths_a_part_is_one_row_without_gaps():
    lengths = torch.tensor([3, 17, 9, 40, 12, 12, 5, 8, 21, 33])
    seen = []
    for rows, packing in packed_parts(lengths, 45, by_lengths=True):
        told = packing.attention_arguments(torch.device("cpu"))
        assert packing.count == 1 and packing.width == int(lengths[rows].sum()) <= 45
        assert told["cu_seq_lens_q"].diff().tolist() == lengths[rows].tolist()
        assert told["max_length_k"] == int(lengths[rows].max())
        seen += rows.tolist()
    assert sorted(seen) == list(range(10))
    assert first_fit([2, 3], width=5, rows=1)[1].attention_arguments(torch.device("cpu")) == {}


@pytest.mark.parametrize("budget", [10_000, 40, 1])
def test_attention_by_lengths_gives_the_update_of_masks(chat, budget):
    results = []
    for model, packing in ((make_small_student(chat), False), (attend_by_lengths(make_small_student(chat)), True)):
        policy = make_policy(model, chat, micro_batch_tokens=budget, packing=packing)
        assert policy.packing == packing == policy.engine.scorer.by_lengths
        stats = policy.update(make_batch(), make_loss_function(LossSettings(0.2, 0.28)))
        results.append((stats, gradients_of(policy), policy.logprobs(make_batch())))
    (padded, gradients, logprobs), (packed, others, also) = results
    assert packed == pytest.approx(padded, rel=1e-4, abs=1e-6) and torch.allclose(logprobs, also, atol=1e-4)
    assert all(torch.allclose(gradients[name], others[name], rtol=1e-3, atol=1e-6) for name in gradients)


@pytest.mark.parametrize("budget", [10_000, 40, 1])
def test_packed_and_padded_give_the_same_update(chat, budget):
    results = []
    for packing in (False, True):
        policy = make_policy(make_small_student(chat), chat, micro_batch_tokens=budget, packing=packing)
        logprobs = policy.logprobs(make_batch())
        stats = policy.update(make_batch(), make_loss_function(LossSettings(0.2, 0.28)))
        results.append((stats, gradients_of(policy), logprobs))
    (padded, gradients, logprobs), (packed, others, also) = results
    assert packed == pytest.approx(padded, rel=1e-4, abs=1e-6)
    assert torch.allclose(logprobs, also, atol=1e-4)
    assert all(torch.allclose(gradients[name], others[name], rtol=1e-3, atol=1e-6) for name in gradients)
