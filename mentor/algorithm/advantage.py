"""Group-relative advantages (GRPO, arXiv:2402.03300, section 4.1.2).

Departures: a group whose rewards are all equal has no advantage and is skipped; a trajectory whose reward could not be
graded (None) neither counts in its group's mean nor is trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

EPSILON = 1e-4  # added to the standard deviation


def group_advantages(rewards: Sequence[float | None], normalize_std: bool) -> list[float | None]:
    """A_i = r_i - mean(r), divided by std(r) + EPSILON with `normalize_std` (population standard deviation).

    rewards: (G,) of one group. None stays None; a group of equal rewards (or one graded reward) gives zeros.
    """
    if zero_variance(rewards):
        return [None if reward is None else 0.0 for reward in rewards]
    mean, scale = _mean_and_scale(rewards, normalize_std)
    return [None if reward is None else (reward - mean) / scale for reward in rewards]


def advantage_parts(
    rewards: Sequence[float | None], parts: Sequence[Mapping[str, float] | None], normalize_std: bool
) -> list[dict[str, float] | None]:
    """The advantages of `group_advantages` by reward term: (p_i - mean(p)) / the same divisor, which sum to A_i.

    rewards and parts: (G,) of one group, the parts of a reward summing to it and None where it is None; a term that a
    trajectory lacks counts as 0. A group of equal rewards gives zeros, whatever its terms.
    """
    names = list(dict.fromkeys(name for entry in parts if entry is not None for name in entry))
    if zero_variance(rewards):
        return [None if entry is None else dict.fromkeys(names, 0.0) for entry in parts]
    _, scale = _mean_and_scale(rewards, normalize_std)
    means = {name: fmean(entry.get(name, 0.0) for entry in parts if entry is not None) for name in names}
    return [
        None if entry is None else {name: (entry.get(name, 0.0) - means[name]) / scale for name in names}
        for entry in parts
    ]


def zero_variance(rewards: Sequence[float | None]) -> bool:
    """Whether a group teaches nothing: fewer than two graded rewards, or all of them equal."""
    graded = [reward for reward in rewards if reward is not None]
    return len(graded) < 2 or max(graded) == min(graded)


def _mean_and_scale(rewards: Sequence[float | None], normalize_std: bool) -> tuple[float, float]:
    graded = [reward for reward in rewards if reward is not None]
    mean = fmean(graded)
    return mean, fmean((reward - mean) ** 2 for reward in graded) ** 0.5 + EPSILON if normalize_std else 1.0
