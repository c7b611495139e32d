"""LM head and embedding for a large vocabulary: logprobs without (tokens x vocabulary) logits, and an embedding whose
gradient needs no second (vocabulary x hidden) tensor.

Logits are float32 in every type of the forward pass: rounded to bfloat16 they would be off by up to 0.06 near 20, more
than all layers before the head together. Samplers compute them alike.

The LM head is applied to a chunk of positions at a time and the chunk's logits are dropped; the backward pass makes
them again. Memory beyond the hidden states and the head's gradient is a few times CHUNK_ELEMENTS, for any vocabulary
and any number of trained tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from mentor.policy.logits import LogitMap
from mentor.policy.products import multiply

CHUNK_ELEMENTS = {"cpu": 2**22, "cuda": 2**26}
"""Positions times vocabulary of one chunk: 16 and 256 MiB in float32, held about twice, three times where logits have
a cap. A GPU needs more to be busy."""
IDENTITY = LogitMap()
LEFT_OUT = -1e30  # logit of a token that is not drawn: its probability is 0, and times its log still 0


@dataclass(frozen=True)
class Truncation:
    """Tokens are drawn from the top_k most likely ones, and of these from the fewest that have top_p of the mass."""

    top_k: int
    top_p: float = 1.0


@dataclass(frozen=True)
class MostLikely:
    """The `count` most likely of the first `words` tokens: models have rows beyond those of their tokenizer."""

    count: int
    words: int


@torch.no_grad()
def most_likely_tokens(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    wanted: MostLikely,
    dtype: torch.dtype = torch.float32,
    chunk_elements: int | None = None,
    logit_map: LogitMap = IDENTITY,
) -> torch.Tensor:
    """Find the most likely tokens, the first one first: (N, min(count, words)) int32.

    The arguments are those of `token_logprobs`.
    """
    head = rounded_head(weight, dtype)
    words = min(wanted.words, len(weight))
    found = torch.empty(len(hidden), min(wanted.count, words), dtype=torch.int32, device=hidden.device)
    for part in _chunks(len(hidden), len(weight), chunk_elements or CHUNK_ELEMENTS[hidden.device.type]):
        logits = logit_map(products(hidden[part], head, dtype))[:, :words]
        found[part] = logits.topk(found.shape[1]).indices.int()
    return found


@torch.no_grad()
def kept_tokens(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    truncation: Truncation,
    temperature: float = 1.0,
    dtype: torch.dtype = torch.float32,
    chunk_elements: int | None = None,
    logit_map: LogitMap = IDENTITY,
) -> torch.Tensor:
    """Find the tokens that truncated sampling draws from: (N, top_k) int32, the target in every place left.

    The arguments are those of `token_logprobs`.
    """
    head = rounded_head(weight, dtype)
    count = min(truncation.top_k, len(weight))
    kept = targets[:, None].repeat(1, truncation.top_k)
    chunk_elements = chunk_elements or CHUNK_ELEMENTS[hidden.device.type]
    for part in _chunks(len(targets), len(weight), chunk_elements):
        logits, tokens = logit_map(products(hidden[part], head, dtype)).topk(count)
        probs = (logits.double() / temperature).softmax(-1)
        outside = probs.cumsum(-1) - probs >= truncation.top_p
        kept[part, :count] = tokens.where(~outside, targets[part, None])
    return kept.int()


def token_logprobs(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    temperature: float = 1.0,
    dtype: torch.dtype = torch.float32,
    chunk_elements: int | None = None,
    into_grad: bool = False,
    logit_map: LogitMap = IDENTITY,
    kept: torch.Tensor | None = None,
    with_entropies: bool = True,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Compute log p(target) and, where wanted, the entropy of p = softmax(logit_map(hidden @ weight.T) / temperature).

    Both are float32 and differentiable: log p of the targets' shape, the entropy (N,).

    hidden: (N, H), weight: (V, H), targets: (N,) int64, or (N, M) for M tokens of each distribution. dtype: what both
    are rounded to; products, sums and softmax are float32, and on a GPU what is multiplied in the backward pass is of
    this dtype.
    into_grad: the backward pass adds to `weight.grad` itself instead of handing autograd another (V, H) tensor to add;
    for a leaf whose gradient nothing else watches. kept: (N, K), the tokens besides the target that p is among; all
    where None.
    """
    chunk_elements = chunk_elements or CHUNK_ELEMENTS[hidden.device.type]
    logprobs, entropies = _TokenLogprobs.apply(
        hidden,
        weight,
        targets.view(len(hidden), -1),
        temperature,
        dtype,
        chunk_elements,
        into_grad and weight.dtype == torch.float32,
        logit_map,
        kept,
        with_entropies,
    )
    return logprobs.view(targets.shape), entropies


def rounded_head(weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Round the LM head's weight (V, H) to dtype, as `products` takes it: of that type on a GPU, else float32."""
    rounded = weight.to(dtype)
    return rounded if rounded.is_cuda else rounded.float()


def products(hidden: torch.Tensor, head: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Multiply hidden (n, H), rounded to dtype, with a `rounded_head`: (n, V) float32, never rounded to dtype."""
    rounded = hidden.to(dtype)
    if head.dtype == torch.float32:
        return multiply(rounded.float(), head)
    return torch.mm(rounded, head.T, out_dtype=torch.float32)  # of tensor cores; torch has it on GPUs alone


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        temperature: float,
        dtype: torch.dtype,
        chunk_elements: int,
        into_grad: bool,
        logit_map: LogitMap,
        kept: torch.Tensor | None,
        with_entropies: bool,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(hidden, weight, targets, kept)
        ctx.settings = temperature, dtype, chunk_elements, logit_map
        ctx.leaf = weight if into_grad else None
        logprobs = torch.empty(targets.shape, device=hidden.device)
        entropies = torch.empty(len(targets), device=hidden.device) if with_entropies else None
        head = rounded_head(weight, dtype)
        for part in _chunks(len(targets), len(weight), chunk_elements):
            logits = _among(logit_map(products(hidden[part], head, dtype)), kept, targets, part)
            logs = _log_softmax(logits, temperature)
            logprobs[part] = logs.gather(1, targets[part])
            if entropies is not None:
                entropies[part] = _entropy(logs, logs.exp())
        return logprobs, entropies

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[Any, ...]:
        """With p = softmax(z): d logprob / dz = onehot - p, and d entropy / dz = -p (log p + entropy).

        z are the logits divided by the temperature; p is subtracted once for each of the M targets.
        """
        grad_logprobs, grad_entropies = grads
        if grad_logprobs is None:
            grad_logprobs = torch.zeros_like(ctx.saved_tensors[2], dtype=torch.float32)
        hidden, weight, targets, kept = ctx.saved_tensors
        temperature, dtype, chunk_elements, logit_map = ctx.settings
        head = rounded_head(weight, dtype)
        grad_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        grad_weight = _gradient_of(weight, ctx.leaf) if ctx.needs_input_grad[1] else None
        for part in _chunks(len(targets), len(weight), chunk_elements):
            logits = logit_map(products(hidden[part], head, dtype))
            derivative = logit_map.derivative(logits)
            logs = _log_softmax(_among(logits, kept, targets, part), temperature)
            upstream = grad_logprobs[part].sum(1, keepdim=True)
            if grad_entropies is None:
                grad_logits = logs.exp_().mul_(-upstream)
            else:
                probs = logs.exp()
                grad_logits = logs.add_(_entropy(logs, probs)[:, None]).mul_(probs).mul_(-grad_entropies[part, None])
                grad_logits -= probs.mul_(upstream)
                del probs
            grad_logits.scatter_add_(1, targets[part], grad_logprobs[part])
            del logits, logs
            grad_logits = grad_logits.div_(temperature).mul_(derivative).to(head.dtype)
            if grad_hidden is not None:
                grad_hidden[part] = multiply(grad_logits, head.T).to(hidden.dtype)
            if grad_weight is not None:
                _add_product(grad_weight, grad_logits, hidden[part].to(dtype).to(head.dtype))
        handed = None if grad_weight is None or ctx.leaf is not None else grad_weight.to(weight.dtype)
        return grad_hidden, handed, None, None, None, None, None, None, None, None


def embedded(token_ids: torch.Tensor, layer: torch.nn.Embedding) -> torch.Tensor:
    """Embed tokens, (..., H); the backward pass adds to the rows of `layer.weight.grad` itself.

    As in torch, the row of `layer.padding_idx` gets no gradient.
    """
    rows: torch.Tensor = _Embedded.apply(token_ids, layer.weight, layer.padding_idx)
    return rows


class _Embedded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, token_ids: torch.Tensor, weight: torch.Tensor, padding: int | None) -> torch.Tensor:
        ctx.save_for_backward(token_ids)
        ctx.leaf, ctx.padding = weight, padding
        return weight[token_ids]

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[None, None, None]:
        ids, rows = ctx.saved_tensors[0].flatten(), grads[0].flatten(0, -2)
        if ctx.padding is not None:
            rows = rows.masked_fill((ids == ctx.padding)[:, None], 0.0)
        _gradient_of(ctx.leaf, ctx.leaf).index_add_(0, ids, rows)
        return None, None, None


def _gradient_of(weight: torch.Tensor, leaf: torch.Tensor | None) -> torch.Tensor:
    """Return what the head's gradient is accumulated in: the leaf's own gradient, or a new float32 tensor."""
    if leaf is None:
        return torch.zeros_like(weight, dtype=torch.float32)
    if leaf.grad is None:
        leaf.grad = torch.zeros_like(leaf)
    return leaf.grad


def _chunks(tokens: int, vocabulary: int, chunk_elements: int) -> Iterator[slice]:
    rows = max(1, chunk_elements // vocabulary)
    return (slice(start, start + rows) for start in range(0, tokens, rows))


def _among(logits: torch.Tensor, kept: torch.Tensor | None, targets: torch.Tensor, part: slice) -> torch.Tensor:
    """Leave out, in place, all tokens but the kept ones and the targets of each row of the chunk; logits: (n, V)."""
    if kept is None:
        return logits
    tokens = torch.cat([kept[part].long(), targets[part]], dim=1)
    values = logits.gather(1, tokens)
    return logits.fill_(LEFT_OUT).scatter_(1, tokens, values)


def _log_softmax(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Compute log-softmax, (n, V) float32, in place of the logits."""
    if temperature != 1.0:
        logits /= temperature
    return logits.sub_(logits.logsumexp(-1, keepdim=True))


def _entropy(logs: torch.Tensor, probs: torch.Tensor) -> torch.Tensor:
    """Compute entropies (n,) in nats from log p and p (n, V), without a further (n, V) tensor."""
    return -torch.linalg.vecdot(logs, probs)


def _add_product(total: torch.Tensor, grad_logits: torch.Tensor, hidden: torch.Tensor) -> None:
    """Add grad_logits.T @ hidden to total, in float32."""
    if grad_logits.dtype == total.dtype:
        total.addmm_(grad_logits.T, hidden)
    else:
        total += grad_logits.T @ hidden
