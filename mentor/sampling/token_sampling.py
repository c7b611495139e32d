"""Draw tokens from logits, at one uniform number per token: a row's randomness does not depend on its batch-mates."""

from __future__ import annotations

import torch


def sample_tokens(
    logits: torch.Tensor,
    temperature: torch.Tensor,
    top_p: torch.Tensor,
    top_k: torch.Tensor,
    uniforms: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample one token per row by inverting the cumulative distribution.

    logits: (B, V) float32; temperature, top_p, top_k: (B,), temperature 0 is greedy, top_k V or more keeps all;
    uniforms: (B,) float64 in [0, 1).
    Returns tokens (B,) and their logprobs (B,) under the distribution they were drawn from: at the temperature and
    among what top_k and then top_p leave; of greedy ones at temperature 1 among all tokens.
    """
    greedy = temperature == 0
    top_p = torch.where(greedy, 1.0, top_p)
    top_k = torch.where(greedy, logits.shape[1], top_k)
    logprobs = torch.log_softmax(_most_likely(logits, top_k) / torch.where(greedy, 1.0, temperature)[:, None], dim=-1)
    probs = logprobs.double().exp()
    if bool((top_p < 1).any()):
        probs = _nucleus(probs, top_p)
        logprobs = torch.where((top_p < 1)[:, None], (probs / probs.sum(-1, keepdim=True)).log().float(), logprobs)
    cumulative = probs.cumsum(-1)
    drawn = torch.searchsorted(cumulative, (uniforms * cumulative[:, -1])[:, None], right=True)[:, 0]
    drawn = drawn.clamp_max(logits.shape[1] - 1)
    tokens = torch.where(greedy, logits.argmax(-1), drawn)
    return tokens, logprobs.gather(1, tokens[:, None])[:, 0]


def _most_likely(logits: torch.Tensor, top_k: torch.Tensor) -> torch.Tensor:
    """Set all logits but the top_k largest of each row to -inf; those that equal the smallest of these stay too."""
    limited = top_k < logits.shape[1]
    if not bool(limited.any()):
        return logits
    most = int(top_k[limited].max())
    smallest = logits.topk(most).values.gather(1, top_k.clamp_max(most)[:, None] - 1)
    return logits.masked_fill(limited[:, None] & (logits < smallest), float("-inf"))


def _nucleus(probs: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Zero all but the smallest set of most likely tokens whose mass reaches top_p."""
    ordered, index = probs.sort(dim=-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p[:, None]
    return probs.scatter(1, index, ordered.masked_fill(outside, 0.0))
