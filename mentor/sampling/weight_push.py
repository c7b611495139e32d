"""Push the policy's weights to the sampler, and prove that they arrived.

Two things are compared after every push. The checksums of all weights in the sampler's type, sent and held, prove that
every value arrived in its part of the model, but not that it is at its place there. The logprobs of a few fixed tokens,
the canary, show that, and a stale cache or second copy of a weight; in bfloat16 they miss the small change of one step.
"""

from __future__ import annotations

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
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1}
"""Of the canary: the largest difference of a logprob in float32 (measured: 1e-5), the mean one in bfloat16. There
rounding alone moves single tokens by 0.3 and the mean of 32 by up to 0.03 (students of 0.8 M parameters, trained and
random; weights in bfloat16, in float32 under autocast, and with adapters)."""


class Canary:
    """The last tokens of a conversation, which policy and sampler must give the same logprobs."""

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
    """Push the policy's weights to the rollout engine, compare both sides, and return the canary's difference.

    temperature: of the policy's logprobs. step: for messages. timer: takes the phases `push` and `push_check`. Every
    rank takes part. Raises SamplerError naming which of the two comparisons differs.
    """
    with timer("push_check"):
        expected = canary.policy_logprobs(policy)
    with timer("push"):
        sent = Checksums(sampler.dtype)
        sampler.load_weights(sent.over(policy.weights()))
    with timer("push_check"):
        held = sampler.checksums()
        parts = differing(sent.parts(), held) if held is not None else []
        if parts:
            raise SamplerError(
                f"after the weight push of step {step} the checksums of policy and sampler differ in {len(parts)} of "
                f"{len(sent.parts())} parts of the model ({parts[0]}{', ...' if len(parts) > 1 else ''})"
            )
        found = sampler.logprobs(canary.token_ids, canary.count, temperature)
        difference = canary_difference(expected, found, sampler.dtype)
        if not difference <= TOLERANCE[sampler.dtype]:
            raise SamplerError(
                f"after the weight push of step {step} the canary's logprobs of policy and sampler differ by "
                f"{difference:.3g}, accepted: {TOLERANCE[sampler.dtype]:g}"
            )
    return {"sync/canary_difference": difference}


def canary_difference(expected: Sequence[float], found: Sequence[float], dtype: torch.dtype) -> float:
    """Return the largest absolute difference in float32, else the mean one."""
    differences = [abs(one - other) for one, other in zip(expected, found, strict=True)]
    return max(differences) if dtype == torch.float32 else fmean(differences)
