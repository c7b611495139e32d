"""Draw tokens from logits, at one uniform number per token: a row's randomness does not depend on its batch-mates."""

from __future__ import annotations

import torch


def sample_tokens(
    logits: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor, uniforms: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample one token per row by inverting the cumulative distribution.

    logits: (B, V) float32; temperature, top_p: (B,), temperature 0 is greedy; uniforms: (B,) float64 in [0, 1).
    Returns tokens (B,) and their logprobs (B,) under the distribution they were drawn from: at the temperature and
    among what top_p leaves; of greedy ones at temperature 1 among all tokens.
    """
    greedy = temperature == 0
    top_p = torch.where(greedy, 1.0, top_p)
    logprobs = torch.log_softmax(logits / torch.where(greedy, 1.0, temperature)[:, None], dim=-1)
    probs = logprobs.double().exp()
    if bool((top_p < 1).any()):
        probs = _nucleus(probs, top_p)
        logprobs = torch.where((top_p < 1)[:, None], (probs / probs.sum(-1, keepdim=True)).log().float(), logprobs)
    cumulative = probs.cumsum(-1)
    drawn = torch.searchsorted(cumulative, (uniforms * cumulative[:, -1])[:, None], right=True)[:, 0]
    drawn = drawn.clamp_max(logits.shape[1] - 1)
    tokens = torch.where(greedy, logits.argmax(-1), drawn)
    return tokens, logprobs.gather(1, tokens[:, None])[:, 0]


def _nucleus(probs: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Zero all but the smallest set of most likely tokens whose mass reaches top_p."""
    ordered, index = probs.sort(dim=-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p[:, None]
    return probs.scatter(1, index, ordered.masked_fill(outside, 0.0))
