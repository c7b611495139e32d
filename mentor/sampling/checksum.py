"""Checksums of weights that agree however an engine arranges them.

A part of a model is what lies at one place in its module tree (`model.layers.3.self_attn`). Its checksum is a sum over
the bit patterns of all its elements, so it does not depend on their order: the three tensors q_proj, k_proj and v_proj
have the sum of one fused qkv_proj, their adapters included. Zeros count nothing, so neither does padding.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

import torch

CHUNK = 2**22  # elements widened to 64 bits at once
MIX = 0x2545F491  # makes the sum no linear function of the bits: changes of opposite sign do not cancel
BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}


class Checksums:
    """Sums of the tensors added, by part of the model, each rounded to `dtype` first; integers of 64 bits, wrapped."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.bytes = 0  # of all tensors, in `dtype`
        self._parts: dict[str, int] = defaultdict(int)

    def add(self, name: str, tensor: torch.Tensor) -> None:
        self.bytes += tensor.numel() * self.dtype.itemsize
        self._parts[part_of(name)] += bit_sum(tensor, self.dtype)

    def over(self, weights: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
        """Pass the weights on and add each."""
        for name, tensor in weights:
            self.add(name, tensor)
            yield name, tensor

    def parts(self) -> dict[str, int]:
        return {part: wrapped(value) for part, value in self._parts.items()}


def differing(one: dict[str, int], other: dict[str, int]) -> list[str]:
    """List the parts whose checksums differ. Where the two have other parts, only the totals are compared."""
    if one.keys() <= other.keys() or other.keys() <= one.keys():
        return [part for part in {**one, **other} if one.get(part, 0) != other.get(part, 0)]
    same = wrapped(sum(one.values())) == wrapped(sum(other.values()))
    return [] if same else ["the whole model"]


def part_of(name: str) -> str:
    """Name the part of a weight: `model.layers.3.self_attn` of `model.layers.3.self_attn.q_proj.weight`.

    It is that of the adapter `model.layers.3.self_attn.q_proj.lora_A.weight`, too.
    """
    return re.sub(r"\.lora_[AB](?=\.weight$)", "", name).rsplit(".", 2)[0]


def bit_sum(tensor: torch.Tensor, dtype: torch.dtype) -> int:
    """Sum b * (b + MIX) over the elements' bit patterns b in `dtype`. Negative zero counts as zero."""
    total = 0
    for chunk in tensor.detach().reshape(-1).split(CHUNK):
        rounded = chunk.to(dtype)
        bits = rounded.view(BITS[dtype]).long().masked_fill_(rounded == 0, 0)
        total += int((bits * (bits + MIX)).sum())
    return wrapped(total)


def wrapped(value: int) -> int:
    """Wrap into the range of a signed integer of 64 bits."""
    return (value + 2**63) % 2**64 - 2**63
