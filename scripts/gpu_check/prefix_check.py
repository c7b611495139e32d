"""Shared prefixes against rows computed apart: logprobs and gradient norm of one update, and its speed."""

from __future__ import annotations

import torch

from mentor.types import Tokens
from scripts.gpu_check.measuring import Figure, Note, Remark, Size, make_model, name_of, shape_of, torch_policy
from scripts.gpu_check.packing_check import LIMITS, measured
from scripts.gpu_check.update_speed import batch_of

MEMBERS = 6  # of each of two groups


def check_prefixes(size: Size, note: Note) -> None:
    shape, longest = shape_of(size.shape), max(48, min(size.lengths))
    batch = batch_of(group_records(shape.vocab_size, longest))
    for dtype, (logprob_limit, norm_limit) in LIMITS.items():
        label, found = name_of(dtype), []
        for share in (False, True):
            policy = torch_policy(make_model(shape, sharp=True), dtype, size.tokens)
            if not policy.share_prefixes:
                note(Remark(f"{label}: this model does not share prefixes"))
                return
            policy.share_prefixes = share
            found.append(measured(policy, batch, size))
        (apart, apart_norm, apart_speed), (shared, shared_norm, shared_speed) = found
        mean = float((apart - shared).abs().mean())
        note(Figure(f"{label}, shared prefixes: logprobs, mean difference", mean, "nats", high=logprob_limit))
        relative = abs(shared_norm / apart_norm - 1)
        note(Figure(f"{label}, shared prefixes: gradient norm, relative", relative, "", high=norm_limit))
        note(Figure(f"{label}: rows apart", apart_speed, "tokens/s"))
        note(Figure(f"{label}: shared prefixes", shared_speed, "tokens/s"))


def group_records(vocabulary: int, longest: int) -> list[Tokens]:
    """Make groups of random tokens whose prompt is three quarters of the longest member."""
    generator = torch.Generator().manual_seed(0)
    records = []
    for _ in range(2):
        ids = torch.randint(0, vocabulary, (MEMBERS, longest), generator=generator)
        prompt = longest * 3 // 4
        for member, row in enumerate(ids.tolist()):
            answer = row[prompt : longest - member]
            record = Tokens()
            record.append_context(ids[0, :prompt].tolist())
            record.append_sampled(answer, [-10.0] * len(answer))
            records.append(record)
    return records
