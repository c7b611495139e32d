"""Group-relative advantages: what a trajectory's reward is against the rewards of its own group.

The baseline `group` is GRPO's (arXiv:2402.03300, section 4.1.2), `leave_one_out` RLOO's (arXiv:2402.14740). Departures:
a group whose rewards are all equal has no advantage and is skipped; a trajectory whose reward could not be graded
(None) neither counts in its group's baseline nor is trained on.

The parts of a reward are normalised together, by the deviation of their sum, or each by its own before they are
weighted and summed (GDPO, arXiv:2601.05242). `turn_advantages` gives each turn of a trajectory its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from mentor.types import RewardBreakdown

EPSILON = 1e-4  # added to the standard deviation

Parts = Sequence[Mapping[str, float] | None]
"""(G,), of one group: the parts of each reward by name, which sum to it; None where it could not be graded."""


@dataclass(frozen=True)
class AdvantageSettings:
    """baseline: `group`, the mean of the group's graded rewards, or `leave_one_out`, that of the other ones.

    normalize_std: divide by std + EPSILON, the population standard deviation of the group's graded rewards.
    aggregation: `sum_then_normalize` divides all parts of a reward by the deviation of their sum, `normalize_then_sum`
    each by its own. by_turn: turns have advantages of their own.
    """

    baseline: str = "group"
    normalize_std: bool = True
    aggregation: str = "sum_then_normalize"
    by_turn: bool = False

    @property
    def by_part(self) -> bool:
        """Whether the parts of a reward are normalised each by itself."""
        return self.aggregation == "normalize_then_sum"


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


def part_divisors(rewards: Sequence[RewardBreakdown], settings: AdvantageSettings) -> dict[str, float]:
    """Compute, by reward term, what its centred part is divided by in the advantage: infinity where it gives none.

    rewards: (G,) of one group. Normalised together, it is std(r) + EPSILON for all parts, and infinity in a group of
    equal rewards. Each by itself, a part p = w * v gives the advantage |w| * (v_i - b_i) / (std(v) + EPSILON), none
    where it is the same in the whole group.
    """
    parts = [breakdown.contributions for breakdown in rewards]
    names = dict.fromkeys(name for entry in parts if entry is not None for name in entry)
    if not settings.by_part:
        totals = [breakdown.total for breakdown in rewards]
        graded = [total for total in totals if total is not None]
        return dict.fromkeys(names, math.inf if zero_variance(totals) else _scale(graded, settings))
    weights = {name: abs(weight) for breakdown in rewards for name, weight in breakdown.weights.items()}
    return {name: _own_divisor(_column(parts, name), weights.get(name, 1.0)) for name in names}


def zero_variance_group(rewards: Sequence[RewardBreakdown], settings: AdvantageSettings) -> bool:
    """Whether a group has no advantage: its rewards are all equal, or each part of them where it is normalised."""
    return all(map(math.isinf, part_divisors(rewards, settings).values()))


def advantage_parts(
    parts: Parts, divisors: Mapping[str, float], settings: AdvantageSettings
) -> list[dict[str, float] | None]:
    """Split the advantages by reward term: (p_i - b_i of p) / its divisor, which sum to A_i.

    parts: (G,) of one group; a term that a trajectory lacks counts as 0.
    """
    centred = {name: iter(_centred(_column(parts, name), settings)) for name in divisors}
    return [
        None if entry is None else {name: next(centred[name]) / divisors[name] for name in divisors} for entry in parts
    ]


def turn_advantages(
    parts: Parts,
    earned: Sequence[Mapping[str, Sequence[float]]],
    turns: Sequence[int],
    divisors: Mapping[str, float],
    settings: AdvantageSettings,
) -> list[list[float] | None]:
    """Compute an advantage for each turn from what was still to be earned when it began: (G,) lists of (K_i,).

    parts: (G,) of one group. earned: of the parts that turns earn, what the turns before each had earned, (K_i,).
    turns: (G,), the K_i. The return of turn k is p_i - earned_i[k] of such a part, 0 where the trajectory has ended by
    then, and p_i of any other. A_ik is the sum over the parts of (return - its baseline in the group at turn k) / the
    part's divisor. So the first turn's is that of the trajectory.

    Process supervision in arXiv:2402.03300, section 4.1.3, also credits a token with the rewards of its own and later
    steps. Departure: it normalises single rewards over all steps of the group, so that their sum over the steps ahead
    depends on how many these are; here the sum is centred, on the other trajectories at the same turn.
    """
    by_turn = []
    for turn in range(max(turns, default=0)):
        ahead = [_ahead(*entry, turn) for entry in zip(parts, earned, strict=True)]
        by_turn.append(advantage_parts(ahead, divisors, settings))
    return [
        None if entry is None else [math.fsum((by_turn[turn][place] or {}).values()) for turn in range(turns[place])]
        for place, entry in enumerate(parts)
    ]


def batch_deviation(advantages: Sequence[float]) -> float:
    """Compute std(A) + EPSILON over all trajectories of a batch, whose mean is 0 since that of every group is."""
    return fmean(advantage**2 for advantage in advantages) ** 0.5 + EPSILON


def zero_variance(rewards: Sequence[float | None]) -> bool:
    """Whether a group has no advantage: fewer than two graded rewards, or all of them equal."""
    graded = [reward for reward in rewards if reward is not None]
    return len(graded) < 2 or max(graded) == min(graded)


def _ahead(
    parts: Mapping[str, float] | None, earned: Mapping[str, Sequence[float]], turn: int
) -> dict[str, float] | None:
    """What is still to be earned of each part when a turn begins."""
    if parts is None:
        return None
    before = {name: sums[turn] if turn < len(sums) else parts[name] for name, sums in earned.items()}
    return {name: part - before.get(name, 0.0) for name, part in parts.items()}


def _column(parts: Parts, name: str) -> list[float]:
    """A part of the graded trajectories: (n,)."""
    return [entry.get(name, 0.0) for entry in parts if entry is not None]


def _own_divisor(values: Sequence[float], weight: float) -> float:
    return math.inf if zero_variance(values) else _deviation(values) / weight + EPSILON


def _centred(values: Sequence[float], settings: AdvantageSettings) -> list[float]:
    """Subtract each value's baseline: (n,) -> (n,), zeros where there is but one."""
    if len(values) < 2:
        return [0.0] * len(values)
    if settings.baseline == "group":
        mean = fmean(values)
        return [value - mean for value in values]
    if settings.baseline == "leave_one_out":
        total = sum(values)
        return [value - (total - value) / (len(values) - 1) for value in values]
    raise ValueError(f"advantage={settings.baseline}, accepted: group, leave_one_out")


def _scale(graded: Sequence[float], settings: AdvantageSettings) -> float:
    return _deviation(graded) + EPSILON if settings.normalize_std else 1.0


def _deviation(values: Sequence[float]) -> float:
    mean = fmean(values)
    return fmean((value - mean) ** 2 for value in values) ** 0.5
