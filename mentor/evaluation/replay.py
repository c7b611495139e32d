"""Replay stored trajectories under other weights of a reward: advantages, their order, and which points are alike.

Each trajectory is judged once; a point of the grid combines the terms anew, by the reward's own formula. Groups come
one after the other, and only sums over them are kept. All of this describes the trajectories at hand, not what training
with a point reaches: another reward draws other trajectories.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mentor.algorithm.advantage import AdvantageSettings, group_advantages, zero_variance
from mentor.rewards.composite import Judged
from mentor.rewards.weight_grid import WeightPoint
from mentor.types import GroupKind, RewardBreakdown, group_kind

NOTE = (
    "This describes the trajectories at hand, drawn by the policy of their time: what each point makes of them, and "
    "nothing of what training with it reaches."
)
TIE = 1e-9  # totals that are nearer are equal in rank: rounding orders nothing
CHUNK = 64  # groups that are replayed at once
UNKNOWN = 2  # the order of a pair of which a total is missing
COLUMNS = {
    "reward": "reward_mean",
    "zero var": "zero_variance",
    "|A|": "abs_advantage",
    "all fail": "share_all_fail",
    "flips": "flips",
    "reversed": "reversals",
    "tau": "kendall",
    "cosine": "cosine",
}


JudgedGroup = Mapping[tuple[tuple[str, str], ...], Sequence[Judged]]
"""What was judged of each trajectory of one group, by `WeightPoint.measures`."""


@dataclass(frozen=True)
class ReplayedGroup:
    """The rewards of one group at one point, and its advantages."""

    rewards: Sequence[RewardBreakdown]
    advantages: Sequence[float | None]


@dataclass(frozen=True)
class Tolerance:
    """Two points are the same where the cosine of their advantages is at least this, and their flips at most this."""

    cosine: float
    flips: float


@dataclass(frozen=True)
class Replay:
    """The numbers of the preset itself and of each point. clusters: indices of points, the representative first.

    Every row holds `reward_mean` over graded trajectories; `zero_variance`, the share of groups with equal rewards;
    `abs_advantage` and `share_all_fail`, as RL logs them; and against the preset: `flips`, the share of pairs of a
    group whose order changes, a tie made or broken included, and `reversals`, those that turn round; `kendall`,
    tau-b over the pairs of all groups; `cosine` of the advantages of all trajectories. None: nothing to compare.
    """

    base: dict[str, Any]
    points: list[dict[str, Any]]
    clusters: list[list[int]]

    def table(self) -> str:
        """Format a line for each point with its cluster (a star marks its representative), then the representatives."""
        marks = {
            member: f"{place}{'*' if member == members[0] else ' '}"
            for place, members in enumerate(self.clusters, start=1)
            for member in members
        }
        lines = ["cluster " + "".join(f"{head:>9}" for head in COLUMNS), _line("", self.base, "the preset: ")]
        lines += [_line(marks[place], row) for place, row in enumerate(self.points)]
        lines.append(f"{len(self.points)} points, {len(self.clusters)} distinguishable:")
        for place, members in enumerate(self.clusters, start=1):
            more = f", and {len(members) - 1} more like it" if len(members) > 1 else ""
            lines.append(f"{place:7}  {_label(self.points[members[0]])}{more}")
        return "\n".join([*lines, NOTE])


def replay(
    base: WeightPoint,
    points: Sequence[WeightPoint],
    groups: Iterable[JudgedGroup],
    advantage: AdvantageSettings,
    tolerance: Tolerance,
) -> Replay:
    """Score the groups at every point, in one pass over them.

    groups: one or more, of at least two trajectories each, of tasks whose teacher is known.
    """
    every = (base, *points)
    sums = [PointSums() for _ in every]
    pairs = PairSums(len(every))
    left = iter(groups)
    while chunk := list(islice(left, CHUNK)):
        replayed = [[replay_group(point, group, advantage) for group in chunk] for point in every]
        for entry, made in zip(sums, replayed, strict=True):
            entry.add(made)
        pairs.add(np.array([_advantages(made) for made in replayed]), np.array([_order(made) for made in replayed]))
    cosines, flips = pairs.cosines(), pairs.flips()
    rows = [
        {
            "values": point.values,
            **sums[place].summary(),
            "flips": _number(flips[0, place]),
            "reversals": pairs.reversals(place),
            "kendall": pairs.kendall(place),
            "cosine": _number(cosines[0, place]),
        }
        for place, point in enumerate(every)
    ]
    same = (cosines >= tolerance.cosine) & (np.nan_to_num(flips) <= tolerance.flips)
    return Replay(rows[0], rows[1:], cluster(same[1:, 1:]))


def replay_group(point: WeightPoint, group: JudgedGroup, settings: AdvantageSettings) -> ReplayedGroup:
    """Score one group as training with this point's reward does, without penalties for length or KL."""
    rewards = point.formula.combine(group[point.measures])
    return ReplayedGroup(rewards, group_advantages([breakdown.total for breakdown in rewards], settings))


class PointSums:
    """Sums over the groups of one point, for the numbers that describe it alone."""

    def __init__(self) -> None:
        self._groups = self._zero_variance = 0
        self._totals = self._advantages = 0  # how many are not None
        self._total = self._abs_advantage = self._abs_all_fail = 0.0

    def add(self, groups: Sequence[ReplayedGroup]) -> None:
        totals = [[breakdown.total for breakdown in group.rewards] for group in groups]
        graded = [total for group in totals for total in group if total is not None]
        self._groups += len(groups)
        self._zero_variance += sum(map(zero_variance, totals))
        self._totals += len(graded)
        self._total += math.fsum(graded)
        for group in groups:
            sizes = [abs(advantage) for advantage in group.advantages if advantage is not None]
            kind = group_kind(group.rewards)
            self._advantages += len(sizes)
            self._abs_advantage += 0.0 if kind is None else sum(sizes)
            self._abs_all_fail += sum(sizes) if kind is GroupKind.ALL_FAIL else 0.0

    def summary(self) -> dict[str, float | None]:
        """`reward_mean` per graded trajectory, `zero_variance` per group, `abs_advantage` per advantage."""
        return {
            "reward_mean": self._total / self._totals if self._totals else None,
            "zero_variance": self._zero_variance / self._groups,
            "abs_advantage": self._abs_advantage / self._advantages if self._advantages else None,
            "share_all_fail": self._abs_all_fail / self._abs_advantage if self._abs_advantage else None,
        }


class PairSums:
    """Sums over the groups for every two of P points: products of their advantages, and pairs ordered alike."""

    def __init__(self, points: int) -> None:
        self._products = np.zeros((points, points))
        self._known = np.zeros((points, points))
        self._equal = np.zeros((points, points))
        self._base = np.zeros((5, points))  # against the first point: known, reversed, and ab, aa, bb of the orders

    def add(self, vectors: NDArray[np.float64], orders: NDArray[np.int8]) -> None:
        """vectors: (P, n) advantages. orders: (P, k) of pairs, as `_order` gives them."""
        self._products += vectors @ vectors.T
        known = (orders != UNKNOWN).astype(np.float64)
        self._known += known @ known.T
        for sign in (-1, 0, 1):
            mask = (orders == sign).astype(np.float64)
            self._equal += mask @ mask.T
        both = known * known[0]
        ours, theirs = orders[0] * both, orders * both
        products = ours * theirs
        self._base += [entry.sum(axis=1) for entry in (both, products < 0, products, ours**2, theirs**2)]

    def cosines(self) -> NDArray[np.float64]:
        """(P, P). Two points without any advantage are the same (1), one of them against another is not (0)."""
        lengths = np.sqrt(np.diag(self._products))
        both_zero = (lengths[:, None] == 0) & (lengths == 0)
        units = np.where(lengths == 0, 1.0, lengths)
        cosines = self._products / units[:, None] / units
        return np.where(both_zero, 1.0, np.clip(np.round(cosines, 12), -1.0, 1.0))

    def flips(self) -> NDArray[np.float64]:
        """(P, P): the share of pairs known at both points whose order differs; NaN where no pair is."""
        with np.errstate(invalid="ignore"):
            return np.asarray((self._known - self._equal) / self._known)

    def reversals(self, place: int) -> float | None:
        """The share of pairs, known at both, whose order is the opposite of the first point's."""
        known, turned = self._base[:2, place]
        return float(turned / known) if known else None

    def kendall(self, place: int) -> float | None:
        """Kendall's tau-b (1945) over the pairs of all groups together; None where one side ties them all."""
        product, ours, theirs = self._base[2:, place]
        untied = np.sqrt(ours * theirs)
        return float(product / untied) if untied else None


def _advantages(groups: Sequence[ReplayedGroup]) -> list[float]:
    """(n,), one of each trajectory; 0 where there is none: it is not trained on."""
    return [advantage or 0.0 for group in groups for advantage in group.advantages]


def _order(groups: Sequence[ReplayedGroup]) -> NDArray[np.int8]:
    """(k,), of each pair in a group: 1 where the first total is higher, 0 where they tie, -1 else; or UNKNOWN."""
    signs = []
    for group in groups:
        totals = np.array([np.nan if b.total is None else b.total for b in group.rewards])
        first, second = np.triu_indices(len(totals), 1)
        difference = totals[first] - totals[second]
        order = np.sign(np.where(np.abs(difference) <= TIE, 0.0, difference))
        signs.append(np.where(np.isnan(order), UNKNOWN, order).astype(np.int8))
    return np.concatenate(signs)


def cluster(same: NDArray[np.bool_]) -> list[list[int]]:
    """Assign every point to a representative that it is the same as; no two representatives are the same.

    same: (P, P) bool. Greedy: the next representative is the point with most others left that are the same.
    """
    left = np.ones(len(same), dtype=bool)
    clusters = []
    while left.any():
        counts = np.where(left, (same & left).sum(axis=1), -1)
        chosen = int(np.argmax(counts))
        members = np.flatnonzero(same[chosen] & left)
        clusters.append([chosen, *(int(member) for member in members if member != chosen)])
        left[members] = left[chosen] = False
    return clusters


def _line(mark: str, row: Mapping[str, Any], before: str = "") -> str:
    cells = "".join(f"{'-' if row[name] is None else format(row[name], '.4f'):>9}" for name in COLUMNS.values())
    return f"{mark:>8}{cells}  {before}{_label(row)}"


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _label(row: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in row["values"].items())
