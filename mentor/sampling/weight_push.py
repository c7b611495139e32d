"""Push the policy's weights to the sampler, and prove that they arrived.

Two things are compared after every push. The checksums of all weights in the sampler's type, sent and held, prove that
every value arrived in its part of the model, but not that it is at its place there; where they differ the run ends. The
logprobs of a few fixed tokens, the canary, show a wrong place, and a stale cache or second copy of a weight. They are a
metric, because two engines round differently: an alarm compares it with that of the first push (`evaluation.alarms`),
and only a difference far outside of rounding ends the run. In bfloat16 they miss the small change of one step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import torch

from mentor.algorithm.batch import collate
from mentor.errors import SamplerError
from mentor.sampling.checksum import Checksums, differing
from mentor.sampling.sampler import Sampler
from mentor.timer import Timer
from mentor.types import Tokens

if TYPE_CHECKING:
    from mentor.policy import Policy

CANARY_TOKENS = 32
FAR_OUTSIDE = {torch.float32: 0.01, torch.bfloat16: 0.5}
"""The mean difference of the canary's logprobs that ends a run.

Measured with a trained student of 0.8 M parameters in 4 layers: below 1e-5 in float32 and 0.01 to 0.02 in bfloat16 if
all is right; in either type 0.4 to 2.6 with one layer's output or query heads in another order, a square weight
transposed, two weights or two layers exchanged; 0.6 to 2.4 with such a mistake in every layer; 3.8 to 6.9 with the
embedding off by a row; but 0.04 to 0.07 with every input norm left at 1. Deeper models round more often and may reach
several times 0.02. A kernel that turns its queries by wrong angles gave 0.014, with a random student."""
LEAST_FIRST = {torch.float32: 1e-4, torch.bfloat16: 0.01}
"""What the first push's difference counts as at least: below it, a multiple is still rounding."""


class Canary:
    """The last tokens of a conversation, which policy and sampler must give about the same logprobs.

    first: their mean absolute difference after the first push, with which later ones are compared; None before it.
    """

    first: float | None = None

    def __init__(self, token_ids: Sequence[int]) -> None:
        if len(token_ids) < 2:
            raise ValueError(f"a canary has at least 2 tokens, got {len(token_ids)}")
        self.token_ids = list(token_ids)
        self.count = min(CANARY_TOKENS, len(self.token_ids) - 1)
        tokens = Tokens()
        tokens.append_context(self.token_ids[: -self.count])
        tokens.append_sampled(self.token_ids[-self.count :], [0.0] * self.count)
        self.batch = collate([tokens], pad_id=0)

    def policy_logprobs(self, policy: Policy) -> list[float]:
        values: list[float] = policy.logprobs(self.batch)[0, -self.count :].tolist()
        return values


def push_weights(
    policy: Policy, sampler: Sampler, canary: Canary, temperature: float, step: int, timer: Timer
) -> dict[str, float]:
    """Push the policy's weights to the rollout engines, compare both sides, and return the metrics of both.

    `sync/push_gib` is the size of what was pushed, in the rollout engine's type, `sync/canary_difference` the mean
    absolute difference of the canary's logprobs, the largest of this rank's engines, and `sync/canary_growth` that over
    the first push's. temperature: of the policy's logprobs. step: for messages. timer:
    takes the phases `push` and `push_check`. Every rank takes part. Raises SamplerError naming which of the two
    comparisons differs.
    """
    with timer("push_check"):
        expected = canary.policy_logprobs(policy)
    with timer("push"):
        sent = Checksums(sampler.dtype)
        weights = policy.adapter(scaled=True) if sampler.takes_adapter else policy.weights()
        sampler.load_weights(sent.over(weights))
        pushed = sent.bytes
    with timer("push_check"):
        if sampler.takes_adapter:  # which has the base from its files
            deque(sent.over(policy.weights(merged=False)), maxlen=0)
        differences = []
        for engine in sampler.engines:
            check_parts(sent.parts(), engine.checksums(), step)
            found = engine.logprobs(canary.token_ids, canary.count, temperature)
            differences.append(canary_difference(expected, found, sampler.dtype, step))
    difference = max(differences, default=0.0)
    if canary.first is None:
        canary.first = difference
    return {
        "sync/push_gib": pushed / 2**30,
        "sync/canary_difference": difference,
        "sync/canary_growth": difference / max(canary.first, LEAST_FIRST[sampler.dtype]),
    }


def check_parts(sent: dict[str, int], held: dict[str, int] | None, step: int) -> None:
    """Raise SamplerError naming a part of the model whose checksums differ. held: None where the weights are shared."""
    parts = differing(sent, held) if held is not None else []
    if parts:
        raise SamplerError(
            f"after the weight push of step {step} the checksums of policy and sampler differ in {len(parts)} of "
            f"{len(sent)} parts of the model ({parts[0]}{', ...' if len(parts) > 1 else ''})"
        )


def canary_difference(expected: Sequence[float], found: Sequence[float], dtype: torch.dtype, step: int) -> float:
    """Return the mean absolute difference. Raises SamplerError where it is far outside of rounding."""
    difference = fmean(abs(one - other) for one, other in zip(expected, found, strict=True))
    if not difference <= FAR_OUTSIDE[dtype]:
        raise SamplerError(
            f"after the weight push of step {step} the canary's logprobs of policy and sampler differ by "
            f"{difference:.3g} in the mean, which no rounding explains; accepted: {FAR_OUTSIDE[dtype]:g}"
        )
    return difference
