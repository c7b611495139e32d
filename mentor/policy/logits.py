"""From the product of the LM head to a model's logits: scaled (Granite, Command), capped (Gemma), or as it is.

The keys that models have for it mean different things in different models, so it is measured: the model's own forward
runs on a few tokens with known numbers in place of the head's product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from mentor.errors import PolicyError

PRODUCTS = (1.0, -1.0, 0.0, 1e-3, 7.0, -40.0, 300.0, 1e9)
"""Put in place of the head's product, over and over: the first and the last tell scale and cap, all prove them."""


@dataclass(frozen=True)
class LogitMap:
    """logits = cap * tanh(scale * product / cap), without a cap scale * product."""

    scale: float = 1.0
    cap: float | None = None

    def __call__(self, products: torch.Tensor) -> torch.Tensor:
        """Compute logits, in place."""
        if self.scale != 1.0:
            products *= self.scale
        if self.cap is not None:
            products.div_(self.cap).tanh_().mul_(self.cap)
        return products

    def derivative(self, logits: torch.Tensor) -> torch.Tensor | float:
        """Compute d logit / d product: scale * (1 - (logit / cap)^2)."""
        if self.cap is None:
            return self.scale
        return (logits / self.cap).square_().neg_().add_(1.0).mul_(self.scale)


def read_logit_map(model: PreTrainedModel) -> LogitMap:
    """Measure a model's LogitMap.

    Raises PolicyError where its logits are not a LogitMap of last hidden states times one weight: a head with a bias,
    hidden states changed on their way to the head, a vocabulary that is cut.
    """
    head: nn.Module | None = model.get_output_embeddings()
    if not isinstance(head, nn.Linear) or head.bias is not None or model.get_decoder() is model:
        raise _unknown(model, "its LM head is not one weight without a bias")
    products = torch.tensor(PRODUCTS, dtype=torch.float64).repeat(-(-head.out_features // len(PRODUCTS)))
    products = products[: head.out_features].to(head.weight.device)
    hidden, inputs, plain = [], [], []

    def replace(_: nn.Module, args: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        inputs.append(args[0])
        plain.append(_equal_but_for_rounding(output, nn.functional.linear(args[0], head.weight)))
        return products.expand_as(output)

    hooks = [
        model.get_decoder().register_forward_hook(lambda _, args, output: hidden.append(output.last_hidden_state)),
        head.register_forward_hook(replace),
    ]
    try:
        with evaluating(model):
            logits = model(input_ids=few_tokens(model), use_cache=False).logits
    finally:
        for hook in hooks:
            hook.remove()
    if not torch.allclose(inputs[0].float(), hidden[0].float(), equal_nan=True) or not all(plain):
        raise _unknown(model, "its LM head is applied to something else than the last hidden states")
    return _fitted(model, products, logits[0, -1].double())


def _equal_but_for_rounding(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether two products are the same: sums in another order differ relatively to their largest terms."""
    rounding = 1e-5 * float(expected.abs().nan_to_num().max())
    return torch.allclose(found, expected, rtol=1e-5, atol=rounding, equal_nan=True)


def few_tokens(model: PreTrainedModel) -> torch.Tensor:
    """Make token ids (1, 8) to look at the model's own forward with; not only the padding, whose embedding is zero."""
    return torch.arange(8, device=next(model.parameters()).device)[None]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Set the model to evaluation mode, without gradients, while the context is open."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def _fitted(model: Any, products: torch.Tensor, logits: torch.Tensor) -> LogitMap:
    one, large = float(logits[0]), float(logits[len(PRODUCTS) - 1])
    capped = not math.isclose(large, one * PRODUCTS[-1], rel_tol=1e-5)
    found = LogitMap(large * math.atanh(one / large), large) if capped and abs(one) < abs(large) else LogitMap(one)
    if logits.shape != products.shape or not torch.allclose(found(products.clone()), logits, rtol=1e-5, atol=1e-6):
        raise _unknown(model, "its logits are more than the LM head's products, scaled or capped")
    return found


def _unknown(model: Any, reason: str) -> PolicyError:
    return PolicyError(f"models of the class {type(model).__name__} are not trained: {reason}")
