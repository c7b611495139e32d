"""Replay stored trajectories under other weights of a reward: advantages, their order, and which points are alike.

Each trajectory is judged once; a point of the grid combines the terms anew, by the reward's own formula. All of this
describes the trajectories at hand, not what training with a point reaches: another reward draws other trajectories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mentor.algorithm.advantage import AdvantageSettings, group_advantages, zero_variance
from mentor.evaluation.rollout_metrics import advantage_metrics
from mentor.rewards.composite import Judged
from mentor.rewards.weight_grid import WeightPoint
from mentor.types import Trajectory, TrajectoryGroup

NOTE = (
    "This describes the trajectories at hand, drawn by the policy of their time: what each point makes of them, and "
    "nothing of what training with it reaches."
)
TIE = 1e-9  # totals that are nearer are equal in rank: rounding orders nothing
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


@dataclass(frozen=True)
class JudgedGroup:
    """The trajectories of one group, and by matcher what was judged of each."""

    trajectories: Sequence[Trajectory]
    judged: Mapping[str, Sequence[Judged]]


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
    groups: Sequence[JudgedGroup],
    advantage: AdvantageSettings,
    tolerance: Tolerance,
) -> Replay:
    """Score the groups at every point. groups: of at least two trajectories each, of tasks whose teacher is known."""
    replayed = [replay_point(point, groups, advantage) for point in (base, *points)]
    vectors = np.array([_advantages(entry) for entry in replayed])
    orders = np.array([_order(entry) for entry in replayed])
    cosines, flips = _cosines(vectors), _flips(orders)
    rows = [
        {
            "values": point.values,
            **_summary(entry, advantage),
            "flips": _number(flips[0, place]),
            "reversals": _reversals(orders[0], orders[place]),
            "kendall": _kendall(orders[0], orders[place]),
            "cosine": _number(cosines[0, place]),
        }
        for place, (point, entry) in enumerate(zip((base, *points), replayed, strict=True))
    ]
    same = (cosines >= tolerance.cosine) & (np.nan_to_num(flips) <= tolerance.flips)
    return Replay(rows[0], rows[1:], cluster(same[1:, 1:]))


def replay_point(
    point: WeightPoint, groups: Sequence[JudgedGroup], settings: AdvantageSettings
) -> list[TrajectoryGroup]:
    """Score the groups as training with this point's reward does, without penalties for length or KL."""
    formula, matcher = point.formula, point.settings["matcher"]
    scored = []
    for group in groups:
        rewards = formula.combine(group.judged[matcher])
        advantages = group_advantages([breakdown.total for breakdown in rewards], settings)
        task, trajectories = group.trajectories[0].task, list(group.trajectories)
        scored.append(TrajectoryGroup(task, trajectories, rewards, advantages))
    return scored


def _summary(groups: Sequence[TrajectoryGroup], settings: AdvantageSettings) -> dict[str, float | None]:
    totals = [[breakdown.total for breakdown in group.rewards] for group in groups]
    graded = [total for group in totals for total in group if total is not None]
    metrics = advantage_metrics(groups, settings)
    return {
        "reward_mean": fmean(graded) if graded else None,
        "zero_variance": fmean(map(zero_variance, totals)),
        "abs_advantage": metrics.get("advantage/abs_mean"),
        "share_all_fail": metrics.get("advantage/share_all_fail"),
    }


def _advantages(groups: Sequence[TrajectoryGroup]) -> list[float]:
    """(N,), one of each trajectory; 0 where there is none: it is not trained on."""
    return [advantage or 0.0 for group in groups for advantage in group.advantages]


def _order(groups: Sequence[TrajectoryGroup]) -> NDArray[np.int8]:
    """(K,), of each pair in a group: 1 where the first total is higher, 0 where they tie, -1 else; or UNKNOWN."""
    signs = []
    for group in groups:
        totals = np.array([np.nan if b.total is None else b.total for b in group.rewards])
        first, second = np.triu_indices(len(totals), 1)
        difference = totals[first] - totals[second]
        order = np.sign(np.where(np.abs(difference) <= TIE, 0.0, difference))
        signs.append(np.where(np.isnan(order), UNKNOWN, order).astype(np.int8))
    return np.concatenate(signs)


def _cosines(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, N) -> (P, P). Two points without any advantage are the same (1), one of them against another is not (0)."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(lengths == 0, 1.0, lengths)
    both_zero = (lengths == 0) & (lengths.T == 0)
    return np.where(both_zero, 1.0, np.clip(np.round(units @ units.T, 12), -1.0, 1.0))


def _flips(orders: NDArray[np.int8]) -> NDArray[np.float64]:
    """(P, K) -> (P, P): the share of pairs known at both points whose order differs; NaN where no pair is."""
    known = (orders != UNKNOWN).astype(np.float32)
    equal = sum(mask @ mask.T for mask in ((orders == sign).astype(np.float32) for sign in (-1, 0, 1)))
    both = known @ known.T
    with np.errstate(invalid="ignore"):
        return np.asarray((both - equal).astype(np.float64) / both)


def _reversals(ours: NDArray[np.int8], theirs: NDArray[np.int8]) -> float | None:
    known = (ours != UNKNOWN) & (theirs != UNKNOWN)
    return float(np.mean(ours[known] * theirs[known] < 0)) if known.any() else None


def _kendall(ours: NDArray[np.int8], theirs: NDArray[np.int8]) -> float | None:
    """Kendall's tau-b (1945) over the pairs of all groups together; None where one side ties them all."""
    known = (ours != UNKNOWN) & (theirs != UNKNOWN)
    a, b = ours[known].astype(np.float64), theirs[known].astype(np.float64)
    untied = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / untied) if untied else None


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
