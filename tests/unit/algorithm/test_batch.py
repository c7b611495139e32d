import pytest
import torch

from mentor.algorithm.batch import collate, sampler_logprobs, supervised_batch, turn_values
from mentor.types import Tokens
from tests.fixtures.policies import policy_batch


def make_tokens(context, sampled):
    tokens = Tokens()
    tokens.append_context(range(1, context + 1))
    tokens.append_sampled(range(50, 50 + sampled), [-0.5] * sampled)
    return tokens


def test_rows_are_padded_right_and_masks_follow_the_tokens():
    records = [make_tokens(2, 1), make_tokens(1, 3)]
    batch = supervised_batch(records, pad_id=9)
    assert batch.token_ids.tolist() == [[1, 2, 50, 9], [1, 50, 51, 52]]
    assert batch.attention.tolist() == [[True, True, True, False], [True] * 4]
    assert batch.loss_mask.tolist() == [[False, False, True, False], [False, True, True, True]]
    assert sampler_logprobs(records)[0].tolist() == [0.0, 0.0, -0.5, 0.0]
    assert batch.weights.sum().item() == pytest.approx(1.0)


def test_a_first_token_cannot_be_trained():
    batch = supervised_batch([make_tokens(0, 3)], pad_id=0)
    assert batch.loss_mask.tolist() == [[False, True, True]] and batch.weights.sum().item() == pytest.approx(1.0)


def test_micro_batches_keep_within_the_budget_and_cover_every_row_once():
    records = [make_tokens(length, 1) for length in (9, 1, 4, 30, 2, 5)]
    batch = policy_batch(records, [float(i) for i in range(6)], 0, "sequence")
    seen = []
    for rows, part in batch.micro_batches(20):
        assert part.token_ids.numel() <= 20 or len(part) == 1
        assert part.token_ids.shape[1] == int(part.attention.sum(1).max())
        assert torch.equal(part.advantages, rows.float()[:, None].expand(part.token_ids.shape))
        seen += rows.tolist()
    assert sorted(seen) == list(range(6))


def test_every_tensor_is_taken_and_moved_with_its_rows():
    records = [make_tokens(2, 1), make_tokens(1, 3)]
    own = sampler_logprobs(records)
    batch = policy_batch(records, [1.0, -1.0], 9, "constant", 10, ref_logprobs=own - 1, old_logprobs=own - 2)
    part = batch.take(torch.tensor([0])).to(torch.device("cpu"))
    assert part.token_ids.tolist() == [[1, 2, 50]] and part.advantages.tolist() == [[1.0] * 3]
    assert part.sampler_logprobs.tolist() == [[0.0, 0.0, -0.5]]
    assert part.ref_logprobs.tolist() == [[-1.0, -1.0, -1.5]] and part.old_logprobs.tolist() == [[-2.0, -2.0, -2.5]]
    assert part.weights.flatten().tolist() == pytest.approx([0.0, 0.0, 1 / 20])  # of two sequences, as before
    moved = batch.to(torch.device("meta"))
    assert {value.device.type for value in vars(moved).values() if value is not None} == {"meta"}


def test_a_batch_may_be_empty():
    batch = collate([], 0)
    assert len(batch) == 0 and not list(batch.micro_batches(10))


def test_token_records_stay_aligned_or_are_refused():
    with pytest.raises(ValueError, match="2 sampled tokens came with 1 logprobs"):
        Tokens().append_sampled([1, 2], [0.0])
    with pytest.raises(ValueError, match="differ in length"):
        Tokens([1], [True], [])


def test_a_value_of_each_turn_or_one_for_all_is_spread_over_the_tokens():
    whole, turns = make_tokens(2, 1), Tokens()
    for prompt, sampled in (([1, 2], [3]), ([1, 2, 3, 4], [5, 6]), ([7], [8])):
        turns.append_prompt(prompt)
        turns.append_sampled(sampled, [-1.0] * len(sampled))
    values = turn_values([whole, turns], [[0.5], [1.0, 2.0, 3.0]])
    # what follows a turn has its value, too: none of it is trained
    assert values.tolist() == [[0.5] * 3 + [0.0] * 3, [1.0] * 4 + [2.0] * 2, [2.0, 3.0] + [0.0] * 4]
    trained = collate([whole, turns], 0).loss_mask
    assert values[trained].tolist() == [0.5, 1.0, 2.0, 2.0, 3.0]
    assert turn_values([], []).shape == (0, 0)
