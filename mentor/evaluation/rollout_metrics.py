"""The numbers of one RL step, from its scored groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mentor.algorithm.advantage import zero_variance
from mentor.types import RewardBreakdown, TrajectoryGroup


def group_metrics(groups: Sequence[TrajectoryGroup]) -> dict[str, float]:
    """Means over all trajectories of the step; a mean over nothing (no call made, nothing graded) is left out."""
    trajectories = [trajectory for group in groups for trajectory in group.trajectories]
    breakdowns = [breakdown for group in groups for breakdown in group.rewards]
    calls = [call for trajectory in trajectories for call in trajectory.calls]
    stops = [trajectory.stop_reason for trajectory in trajectories]
    dead = [zero_variance([breakdown.total for breakdown in group.rewards]) for group in groups]
    means = {
        "reward/mean": _mean(breakdown.total for breakdown in breakdowns),
        "reward/correct": _mean(map(_correct, breakdowns)),
        **{f"reward/{term}": _mean(b.terms.get(term) for b in breakdowns) for term in ("match", "valid")},
        "reward/ungraded": _mean(float(breakdown.total is None) for breakdown in breakdowns),
        "groups/zero_variance": _mean(map(float, dead)),
        "rollout/turns": _mean(float(trajectory.turns) for trajectory in trajectories),
        "rollout/calls": len(calls) / len(trajectories),
        "rollout/valid_call_rate": _mean(float(call.well_formed) for call in calls),
        "rollout/tokens": float(sum(t.tokens.sampled for t in trajectories if t.tokens is not None)),
        **{f"rollout/stop_{reason}": stops.count(reason) / len(stops) for reason in sorted(set(stops))},
    }
    return {name: value for name, value in means.items() if value is not None}


def _correct(breakdown: RewardBreakdown) -> float | None:
    """None where the grader failed; 0 where a total was given without a look at the answer (a released reward does)."""
    correct = breakdown.terms.get("correct")
    return 0.0 if correct is None and breakdown.total is not None else correct


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
