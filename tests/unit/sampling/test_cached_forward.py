"""Prefill and decode over slots of unequal length, against one forward of each session without a cache."""

import pytest
import torch

from mentor.sampling import cached_forward
from mentor.sampling.cached_forward import CachedForward
from mentor.sampling.packed_rows import NewTokens
from tests.fixtures.families import WINDOW, make_family

SYSTEM = [3 + i % 90 for i in range(3 * WINDOW)]  # longer than a window, and shared by several sessions


def last_hidden(model, tokens):
    with torch.no_grad():
        return model.get_decoder()(input_ids=torch.tensor([tokens]), use_cache=False).last_hidden_state[0, -1]


@pytest.mark.parametrize("attention", ["grouped_sdpa", "eager"])
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3"])
def test_hidden_states_are_those_of_a_forward_without_a_cache(monkeypatch, name, attention):
    """Equal prefixes, in several chunks; sessions that go on; then a token of each."""
    monkeypatch.setattr(cached_forward, "PACKED_TOKENS", 40)
    model = make_family(name)
    model.set_attn_implementation(attention)
    forward = CachedForward(model, slots=6, dtype=torch.float32)
    tokens = [[*SYSTEM, 7, 8, 9], [*SYSTEM, 7, 8], [5, 6], [*SYSTEM, 60], [11] * 50]
    slots = [3, 0, 1, 4, 2]
    cached = dict.fromkeys(slots, 0)
    with torch.inference_mode():
        for more in ([], [20], [30] * 11):
            rows = []
            for slot, own in zip(slots, tokens, strict=True):
                own += more
                rows.append(NewTokens(slot, cached[slot], own[cached[slot] :]))
                cached[slot] = len(own)
            found = forward.prefill([row for row in rows if row.token_ids])
            expected = torch.stack([last_hidden(model, own) for own in tokens])
            assert torch.allclose(found, expected, atol=2e-5)
        first = [tokens[slots.index(slot)] for slot in range(5)]
        found = forward.decode([40, 41, 42, 43, 44], [len(own) for own in first])
        expected = torch.stack([last_hidden(model, [*own, 40 + slot]) for slot, own in enumerate(first)])
        assert torch.allclose(found, expected, atol=2e-5)


def test_a_prefix_of_many_prompts_is_computed_once_and_nothing_is_padded():
    model = make_family("llama")
    forward, fed = CachedForward(model, slots=8, dtype=torch.float32), []
    model.get_decoder().register_forward_hook(
        lambda _, args, kwargs, output: fed.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    with torch.inference_mode():
        forward.prefill([NewTokens(slot, 0, [*SYSTEM, *[70 + slot] * (slot + 1)]) for slot in range(8)])
    assert fed == [(1, len(SYSTEM) + sum(range(1, 9)))]


def test_only_rows_of_like_length_are_padded_to_one_another():
    model = make_family("llama")
    model.set_attn_implementation("sdpa")
    forward, fed = CachedForward(model, slots=8, dtype=torch.float32), []
    model.get_decoder().register_forward_hook(
        lambda _, args, kwargs, output: fed.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    with torch.inference_mode():
        forward.prefill([NewTokens(slot, 0, [5] * n) for slot, n in enumerate((4, 40, 3, 33, 29, 4))])
    assert fed == [(2, 40), (1, 29), (3, 4)]  # 29 is less than three quarters of 40
