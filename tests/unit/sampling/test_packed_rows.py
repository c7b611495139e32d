"""What is computed of the sessions of a packed row, what is copied, and what each token sees."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from mentor.sampling.packed_rows import (
    SHARED_TOKENS,
    Copied,
    NewTokens,
    PackedRows,
    packed_attention,
    packed_forward,
    share_prefixes,
    shared_length,
)
from tests.fixtures.families import make_family

SYSTEM = list(range(SHARED_TOKENS))


def test_a_prefix_that_sessions_begin_with_is_left_to_the_first_in_order():
    rows = [
        NewTokens(0, 0, [*SYSTEM, 91, 5]),
        NewTokens(1, 7, [3, 4]),  # in the middle of a conversation
        NewTokens(2, 0, [*SYSTEM, 90, 5, 6]),
        NewTokens(3, 0, [50, 51]),
        NewTokens(4, 0, [*SYSTEM, 90, 5]),
        NewTokens(5, 0, SYSTEM[:-1]),
        NewTokens(6, 0, [50, 52]),  # one token alike is computed again
    ]
    own, copies = share_prefixes(rows)
    assert own == [
        rows[1],
        rows[5],  # the shortest is the first, and too short to be copied from
        rows[4],
        NewTokens(2, SHARED_TOKENS + 2, [6]),
        NewTokens(0, SHARED_TOKENS, [91, 5]),
        rows[3],
        rows[6],
    ]
    assert copies == [Copied(4, 2, SHARED_TOKENS + 2), Copied(2, 0, SHARED_TOKENS)]


def test_of_equal_prompts_the_last_token_is_still_computed():
    own, copies = share_prefixes([NewTokens(0, 0, [*SYSTEM, 9]), NewTokens(1, 0, [*SYSTEM, 9])])
    assert own[1] == NewTokens(1, SHARED_TOKENS, [9]) and copies == [Copied(0, 1, SHARED_TOKENS)]


def test_shared_length():
    assert [shared_length([1, 2, 3], other) for other in ([1, 2, 4], [1, 2], [], [2, 2, 3])] == [2, 2, 0, 0]


def test_every_token_has_its_slot_and_its_position():
    packed = PackedRows([NewTokens(4, 0, [7, 8]), NewTokens(1, 5, [9])], [])
    assert (packed.token_ids.tolist(), packed.slots.tolist(), packed.positions.tolist()) == (
        [7, 8, 9],
        [4, 4, 1],
        [0, 1, 5],
    )


@pytest.mark.parametrize("window", [None, 3, 50])
def test_tokens_see_their_own_session_up_to_themselves(window):
    """Against attention over the whole slot with the full mask; four query heads on two of keys."""
    torch.manual_seed(0)
    rows = [NewTokens(2, 0, [0] * 5), NewTokens(0, 4, [0]), NewTokens(1, 3, [0] * 4), NewTokens(3, 0, [0])]
    packed = PackedRows(rows, [])
    query, key, value = torch.randn(1, 4, 11, 8), torch.randn(4, 2, 9, 8), torch.randn(4, 2, 9, 8)
    found, _ = packed_attention(
        torch.nn.Identity(), query, key, value, None, packed_rows=packed, scaling=0.3, sliding_window=window
    )
    keys = torch.arange(9)
    for place, (slot, position) in enumerate(zip(packed.slots.tolist(), packed.positions.tolist(), strict=True)):
        seen = (keys <= position) & (keys > position - (window or 9))
        expected = scaled_dot_product_attention(
            query[:, :, place, None], key[slot, None], value[slot, None], seen[None], scale=0.3, enable_gqa=True
        )
        assert torch.allclose(found[0, place], expected[0, :, 0], atol=1e-6)


def test_the_models_own_attention_is_back_after_a_packed_forward():
    config = make_family("llama").config
    before = config._attn_implementation
    with pytest.raises(KeyError), packed_forward(config):
        raise KeyError
    assert config._attn_implementation == before
