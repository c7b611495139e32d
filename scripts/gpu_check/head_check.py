"""The chunked LM head: logprobs, entropies and gradients against float64, and its time and memory."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mentor.policy.lm_head import token_logprobs
from scripts.gpu_check.measuring import GIB, Figure, Note, Size, device, name_of, relative, shape_of, timed

LIMITS = {torch.float32: (1e-4, 1e-4), torch.bfloat16: (1e-3, 2e-2)}
"""Of a logprob's difference in nats, and of a gradient's relative one, whose products are bfloat16 on a GPU."""

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def check_head(size: Size, note: Note) -> None:
    shape = shape_of(size.shape)
    for dtype in LIMITS:
        compare(make_inputs(shape.vocab_size, shape.hidden_size, min(size.checked, 512), dtype), dtype, note)
    hidden, weight, targets = make_inputs(shape.vocab_size, shape.hidden_size, size.tokens, torch.bfloat16)

    def update() -> None:
        token_logprobs(hidden, weight, targets, dtype=torch.bfloat16)[0].mean().backward()

    update()
    seconds, peak = timed(update, size.updates)
    note(Figure(f"forward and backward of {size.tokens} tokens", 1000 * seconds, "ms"))
    if peak:
        note(Figure("its peak", peak / GIB, "GiB"))


def compare(inputs: Inputs, dtype: torch.dtype, note: Note) -> None:
    """Compare with float64 on the same rounded numbers. inputs: hidden (N, H), weight (V, H), targets (N,)."""
    label, (logprob_limit, gradient_limit) = name_of(dtype), LIMITS[dtype]
    targets = inputs[2]
    upstream = torch.linspace(-1, 1, len(targets), device=targets.device)
    found, found_gradients = values(inputs, upstream, lambda h, w: token_logprobs(h, w, targets, dtype=dtype))
    wide = (inputs[0].double(), inputs[1].double(), targets)
    exact, exact_gradients = values(wide, upstream, lambda h, w: whole(h, w, targets))
    for name, one, other in zip(("logprobs", "entropies"), found, exact, strict=True):
        largest = float((one - other).abs().max())
        note(Figure(f"{label}: {name}, largest difference", largest, "nats", high=logprob_limit))
    for name, one, other in zip(("hidden", "weight"), found_gradients, exact_gradients, strict=True):
        note(Figure(f"{label}: gradient of {name}, relative", relative(one, other), "", high=gradient_limit))


def make_inputs(vocabulary: int, width: int, tokens: int, dtype: torch.dtype) -> Inputs:
    """Make numbers whose logits have a spread of about 6, as a trained model's."""
    generator = torch.Generator(device()).manual_seed(0)
    hidden = torch.randn(tokens, width, device=device(), generator=generator).to(dtype)
    weight = (6 * width**-0.5 * torch.randn(vocabulary, width, device=device(), generator=generator)).to(dtype)
    targets = torch.randint(0, vocabulary, (tokens,), device=device(), generator=generator)
    return hidden.requires_grad_(), weight.requires_grad_(), targets


def values(
    inputs: Inputs,
    upstream: torch.Tensor,
    function: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return logprobs and entropies, and the gradients of hidden and weight of their weighted sum."""
    hidden, weight = inputs[0].detach().requires_grad_(), inputs[1].detach().requires_grad_()
    found = function(hidden, weight)
    sum((value * upstream).sum() for value in found).backward()  # type: ignore[union-attr]
    assert hidden.grad is not None and weight.grad is not None
    return [value.detach() for value in found], [hidden.grad, weight.grad]


def whole(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    logs = torch.log_softmax(hidden @ weight.T, -1)
    return logs.gather(1, targets[:, None])[:, 0], -(logs.exp() * logs).sum(-1)
