"""Group-relative advantages: what a trajectory's reward is against the rewards of its own group.

The baseline `group` is GRPO's (arXiv:2402.03300, section 4.1.2), `leave_one_out` RLOO's (arXiv:2402.14740). Departures:
a group whose rewards are all equal has no advantage and is skipped; a trajectory whose reward could not be graded
(None) neither counts in its group's baseline nor is trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

EPSILON = 1e-4  # added to the standard deviation


@dataclass(frozen=True)
class AdvantageSettings:
    """baseline: `group`, the mean of the group's graded rewards, or `leave_one_out`, that of the other ones.

    normalize_std: divide by std + EPSILON, the population standard deviation of the group's graded rewards.
    """

    baseline: str = "group"
    normalize_std: bool = True


def group_advantages(rewards: Sequence[float | None], settings: AdvantageSettings) -> list[float | None]:
    """Compute A_i = r_i - b_i, with b the baseline, divided by std(r) + EPSILON with `normalize_std`.

    rewards: (G,) of one group. None stays None; a group of equal rewards (or one graded reward) gives zeros.
    """
    if zero_variance(rewards):
        return [None if reward is None else 0.0 for reward in rewards]
    graded = [reward for reward in rewards if reward is not None]
    scale = _scale(graded, settings)
    centred = iter(_centred(graded, settings))
    return [None if reward is None else next(centred) / scale for reward in rewards]


def advantage_parts(
    rewards: Sequence[float | None], parts: Sequence[Mapping[str, float] | None], settings: AdvantageSettings
) -> list[dict[str, float] | None]:
    """Split the advantages by reward term: (p_i - b_i of p) / the same divisor, which sum to A_i.

    rewards and parts: (G,) of one group, the parts of a reward summing to it and None where it is None; a term that a
    trajectory lacks counts as 0. A group of equal rewards gives zeros, whatever its terms.
    """
    names = list(dict.fromkeys(name for entry in parts if entry is not None for name in entry))
    if zero_variance(rewards):
        return [None if entry is None else dict.fromkeys(names, 0.0) for entry in parts]
    scale = _scale([reward for reward in rewards if reward is not None], settings)
    graded = [entry for entry in parts if entry is not None]
    centred = {name: iter(_centred([entry.get(name, 0.0) for entry in graded], settings)) for name in names}
    return [None if entry is None else {name: next(centred[name]) / scale for name in names} for entry in parts]


def zero_variance(rewards: Sequence[float | None]) -> bool:
    """Whether a group has no advantage: fewer than two graded rewards, or all of them equal."""
    graded = [reward for reward in rewards if reward is not None]
    return len(graded) < 2 or max(graded) == min(graded)


def _centred(values: Sequence[float], settings: AdvantageSettings) -> list[float]:
    """Subtract each value's baseline: (n,) -> (n,), n at least 2."""
    if settings.baseline == "group":
        mean = fmean(values)
        return [value - mean for value in values]
    if settings.baseline == "leave_one_out":
        total = sum(values)
        return [value - (total - value) / (len(values) - 1) for value in values]
    raise ValueError(f"advantage={settings.baseline}, accepted: group, leave_one_out")


def _scale(graded: Sequence[float], settings: AdvantageSettings) -> float:
    mean = fmean(graded)
    return fmean((reward - mean) ** 2 for reward in graded) ** 0.5 + EPSILON if settings.normalize_std else 1.0
