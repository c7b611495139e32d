"""Grouped attention gives what repeated keys and values give."""

import pytest
import torch

from mentor.policy.attention import GROUPED, grouped_sdpa


@pytest.mark.parametrize("masked", [False, True])
def test_groups_are_attended_as_if_keys_and_values_were_repeated(masked):
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 4, 5, 8, generator=generator)
    key, value = (torch.randn(2, 2, 5, 8, generator=generator) for _ in range(2))
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    mask = causal.expand(2, 1, 5, 5) if masked else None
    found, weights = grouped_sdpa(torch.nn.Module(), query, key, value, mask, scaling=0.3)
    repeated_key, repeated_value = (tensor.repeat_interleave(2, dim=1) for tensor in (key, value))
    scores = (query @ repeated_key.transpose(-1, -2) * 0.3).masked_fill(~causal, float("-inf"))
    expected = (scores.softmax(-1) @ repeated_value).transpose(1, 2)
    assert weights is None and found.shape == (2, 5, 4, 8) and torch.allclose(found, expected, atol=1e-5)


def test_a_single_query_sees_all_keys_without_a_mask():
    query, key, value = torch.randn(1, 2, 1, 4), torch.randn(1, 1, 3, 4), torch.randn(1, 1, 3, 4)
    found, _ = grouped_sdpa(torch.nn.Module(), query, key, value, None)
    scores = (query @ key.transpose(-1, -2) / 2).softmax(-1)
    assert torch.allclose(found, (scores @ value).transpose(1, 2), atol=1e-6) and GROUPED == "grouped_sdpa"
