"""Packed against padded: logprobs, loss and gradient norm of one update, and its speed."""

from __future__ import annotations

import torch

from mentor.algorithm.batch import PolicyBatch
from mentor.algorithm.loss import LossSettings
from mentor.policy import Policy
from mentor.policy.attention import takes_lengths
from mentor.rl.update import make_loss_function
from scripts.gpu_check.measuring import (
    Figure,
    Note,
    Remark,
    Size,
    make_model,
    name_of,
    random_records,
    shape_of,
    timed,
    torch_policy,
)
from scripts.gpu_check.update_speed import batch_of

LIMITS = {torch.float32: (1e-3, 1e-2), torch.bfloat16: (0.05, 0.1)}
"""Of the mean difference of a logprob in nats, and of the relative one of the gradient norm."""


def check_packing(size: Size, note: Note) -> None:
    shape = shape_of(size.shape)
    longest = min(size.lengths)
    lengths = [max(9, longest * part // 16) for part in (16, 3, 9, 1, 5, 2, 7, 4, 1, 3, 2, 6, 1, 12, 4, 2)]
    for dtype in LIMITS:
        compare(size, batch_of(random_records(shape.vocab_size, lengths)), dtype, note)


def compare(size: Size, batch: PolicyBatch, dtype: torch.dtype, note: Note) -> None:
    label, (logprob_limit, norm_limit) = name_of(dtype), LIMITS[dtype]
    found = []
    for packing in (False, True):
        model = make_model(shape_of(size.shape), sharp=True)
        model.gradient_checkpointing_enable({"use_reentrant": False})
        policy = torch_policy(model, dtype, size.tokens, packing)
        if packing and not policy.packing:
            note(Remark(f"{label}: this model is not packed"))
            return
        found.append(measured(policy, batch, size))
    logprobs, norms, speeds = zip(*found, strict=True)
    how = "by lengths" if takes_lengths(model) else "by a mask"
    mean = float((logprobs[0] - logprobs[1]).abs().mean())
    note(Figure(f"{label}, {how}: logprobs, mean difference", mean, "nats", high=logprob_limit))
    note(Figure(f"{label}, {how}: gradient norm, relative", abs(norms[1] / norms[0] - 1), "", high=norm_limit))
    note(Figure(f"{label}: padded", speeds[0], "tokens/s"))
    note(Figure(f"{label}: packed {how}", speeds[1], "tokens/s"))


def measured(policy: Policy, batch: PolicyBatch, size: Size) -> tuple[torch.Tensor, float, float]:
    """Return the logprobs of the trained tokens, an update's gradient norm, and its tokens a second."""
    loss_function = make_loss_function(LossSettings(0.2, 0.28))
    logprobs = policy.logprobs(batch)[batch.loss_mask]
    norm = policy.update(batch, loss_function)["policy/grad_norm"]
    seconds, _ = timed(lambda: policy.update(batch, loss_function), size.updates)
    return logprobs, norm, int(batch.lengths.sum()) / seconds
