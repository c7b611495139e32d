"""Masks and attention kernels: logprobs of padded and of packed sequences, against each sequence alone in float64."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from mentor.algorithm.batch import TokenBatch, collate
from mentor.errors import InputError
from mentor.policy.attention import choose_attention, takes_lengths
from scripts.gpu_check.measuring import (
    Figure,
    Note,
    Remark,
    Size,
    make_model,
    name_of,
    random_records,
    shape_of,
    torch_policy,
)

LIMITS = {torch.float32: 1e-3, torch.bfloat16: 0.05}  # of the mean difference of a logprob, in nats
KERNELS = ("kernels-community/flash-attn2", "kernels-community/flash-attn3")
LAYERS, VOCABULARY = 4, 4096


def check_attention(size: Size, note: Note) -> None:
    """Try every attention at hand, also with a sliding window."""
    shape = shape_of(size.shape)
    absent: set[str] = set()
    for window in (None, max(8, size.checked // 8)):
        changes: dict[str, Any] = {"num_hidden_layers": min(LAYERS, shape.num_hidden_layers)}
        changes |= {"vocab_size": min(VOCABULARY, shape.vocab_size), "use_cache": False}
        if window is not None:
            changes |= {"use_sliding_window": True, "sliding_window": window, "max_window_layers": 1}
        model = make_model(shape, sharp=True, **changes)
        batch = mixed_batch(changes["vocab_size"], size.checked)
        exact = alone_in_float64(model, batch)
        for name in names():
            if name in absent:
                continue
            try:
                choose_attention(model, name)
            except InputError as error:
                note(Remark(str(error)))
                absent.add(name)
                continue
            label = name if window is None else f"{name}, window of {window}"
            compare(model, batch, exact, label, note)


def names() -> list[str]:
    """Name what may be at hand; kernels are fetched by their package alone."""
    kernels = KERNELS if importlib.util.find_spec("kernels") is not None else ()
    return ["sdpa", "eager", "flash_attention_2", "flash_attention_3", *kernels]


def mixed_batch(vocabulary: int, tokens: int) -> TokenBatch:
    lengths = [tokens, tokens // 2, tokens // 2 - 1, tokens // 3, tokens // 5, 9]
    return collate(random_records(vocabulary, lengths), 0)


@torch.no_grad()
def alone_in_float64(model: Any, batch: TokenBatch) -> torch.Tensor:
    """Score the trained tokens, (B, T) float64, with eager attention and one sequence at a time."""
    choose_attention(model, "eager")
    model.eval().double()
    exact = torch.zeros(batch.loss_mask.shape, dtype=torch.float64)
    for row, length in enumerate(batch.lengths.tolist()):
        ids = batch.token_ids[row : row + 1, :length].to(model.device)
        logs = torch.log_softmax(model(input_ids=ids).logits[0, :-1], -1)
        exact[row, 1:length] = logs.gather(1, ids[0, 1:, None])[:, 0].cpu()
    model.float()
    return exact * batch.loss_mask


def compare(model: Any, batch: TokenBatch, exact: torch.Tensor, label: str, note: Note) -> None:
    tokens = int(batch.lengths.sum())
    for dtype, limit in LIMITS.items():
        if takes_lengths(model) and dtype == torch.float32:
            continue  # flash attention has no float32
        for packing in (False, True):
            policy = torch_policy(model, dtype, tokens, packing)
            if packing and not policy.packing:
                note(Remark(f"{label}: mixes packed sequences, so a policy pads"))
                continue
            mean = float((policy.logprobs(batch).double() - exact).abs().sum() / batch.loss_mask.sum())
            how = "padded" if not packing else "packed by lengths" if takes_lengths(model) else "packed"
            note(Figure(f"{label}, {name_of(dtype)}, {how}: logprobs, mean difference", mean, "nats", high=limit))
