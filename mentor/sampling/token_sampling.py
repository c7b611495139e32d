"""Draw tokens from logits, at one uniform number per token: a row's randomness does not depend on its batch-mates."""

from __future__ import annotations

import torch

PART_ELEMENTS = {"cpu": 2**19, "cuda": 2**24}
"""Rows times vocabulary drawn from at once: a CPU keeps their probabilities, held several times, in its cache."""
LIKELY = 1024  # tokens that the nucleus is looked for among first


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
    rows = max(1, PART_ELEMENTS[logits.device.type] // logits.shape[1])
    parts = zip(*(argument.split(rows) for argument in (logits, temperature, top_p, top_k, uniforms)), strict=True)
    drawn = [_sample_part(*part) for part in parts]
    tokens, logprobs = (torch.cat(column) for column in zip(*drawn, strict=True))
    return tokens, logprobs


def _sample_part(
    logits: torch.Tensor,
    temperature: torch.Tensor,
    top_p: torch.Tensor,
    top_k: torch.Tensor,
    uniforms: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    greedy = temperature == 0
    top_p = torch.where(greedy, 1.0, top_p)
    top_k = torch.where(greedy, logits.shape[1], top_k)
    logprobs = torch.log_softmax(_most_likely(logits, top_k) / torch.where(greedy, 1.0, temperature)[:, None], dim=-1)
    probs = logprobs.double().exp_()
    if bool((top_p < 1).any()):
        probs = _nucleus(probs, top_p)
    cumulative = probs.cumsum(-1)
    total = cumulative[:, -1]  # without a nucleus 1, but for the rounding of a float32 sum over the vocabulary
    drawn = torch.searchsorted(cumulative, (uniforms * total)[:, None], right=True)[:, 0]
    tokens = torch.where(greedy, logits.argmax(-1), drawn.clamp_max(logits.shape[1] - 1))
    return tokens, (logprobs.gather(1, tokens[:, None])[:, 0] - total.log()).float()


def _most_likely(logits: torch.Tensor, top_k: torch.Tensor) -> torch.Tensor:
    """Set all logits but the top_k largest of each row to -inf; those that equal the smallest of these stay too."""
    limited = top_k < logits.shape[1]
    if not bool(limited.any()):
        return logits
    most = int(top_k[limited].max())
    smallest = logits.topk(most).values.gather(1, top_k.clamp_max(most)[:, None] - 1)
    return logits.masked_fill(limited[:, None] & (logits < smallest), float("-inf"))


def _nucleus(probs: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Zero all but the smallest set of most likely tokens whose mass reaches top_p, in rows where it is below 1."""
    count = min(LIKELY, probs.shape[1])
    ordered, index = probs.topk(count)
    while count < probs.shape[1] and bool((ordered.sum(-1) < top_p)[top_p < 1].any()):
        count = min(8 * count, probs.shape[1])
        ordered, index = probs.topk(count)
    outside = ordered.cumsum(-1) - ordered >= top_p[:, None]
    kept = torch.zeros_like(probs).scatter_(1, index, ordered.masked_fill(outside, 0.0))
    return torch.where((top_p < 1)[:, None], kept, probs)
