"""Group-relative advantages (GRPO, arXiv:2402.03300, section 4.1.2).

Departures: a group whose rewards are all equal has no advantage and is skipped; a trajectory whose reward could not be
graded (None) neither counts in its group's mean nor is trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

EPSILON = 1e-4  # added to the standard deviation


def group_advantages(rewards: Sequence[float | None], normalize_std: bool) -> list[float | None]:
    """A_i = r_i - mean(r), divided by std(r) + EPSILON with `normalize_std` (population standard deviation).

    rewards: (G,) of one group. None stays None; a group of equal rewards (or one graded reward) gives zeros.
    """
    graded = [reward for reward in rewards if reward is not None]
    if not graded or max(graded) == min(graded):
        return [None if reward is None else 0.0 for reward in rewards]
    mean = fmean(graded)
    scale = 1.0
    if normalize_std:
        scale = fmean((reward - mean) ** 2 for reward in graded) ** 0.5 + EPSILON
    return [None if reward is None else (reward - mean) / scale for reward in rewards]


def zero_variance(rewards: Sequence[float | None]) -> bool:
    """Whether a group teaches nothing: fewer than two graded rewards, or all of them equal."""
    graded = [reward for reward in rewards if reward is not None]
    return len(graded) < 2 or max(graded) == min(graded)
