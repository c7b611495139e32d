"""Metrics of one RL step from its scored groups: rewards, sources of the advantage, tool use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mentor.algorithm.advantage import AdvantageSettings, zero_variance_group
from mentor.evaluation.tool_use import AnsweredCalls, Numbers, cost, similarity
from mentor.types import CallError, CallRecord, GroupKind, RewardBreakdown, TrajectoryGroup


def group_metrics(groups: Sequence[TrajectoryGroup], settings: AdvantageSettings) -> dict[str, float]:
    """Average over all trajectories of the step; a mean over nothing (no call made, nothing graded) is left out.

    settings: as the groups' advantages were made with.
    """
    trajectories = [trajectory for group in groups for trajectory in group.trajectories]
    breakdowns = [breakdown for group in groups for breakdown in group.rewards]
    calls = [call for trajectory in trajectories for call in trajectory.calls]
    stops = [trajectory.stop_reason for trajectory in trajectories]
    means = {
        "reward/mean": _mean(breakdown.total for breakdown in breakdowns),
        "reward/correct": _mean(breakdown.correct for breakdown in breakdowns),
        **{f"reward/{term}": _mean(b.terms.get(term) for b in breakdowns) for term in _terms(breakdowns)},
        **{f"reward/{part}": _mean(b.parts.get(part) for b in breakdowns) for part in ("overlong", "kl")},
        "reward/guidance": _mean(group.guidance for group in groups),
        "reward/ungraded": _mean(float(breakdown.total is None) for breakdown in breakdowns),
        **_kinds(groups, settings),
        **advantage_metrics(groups),
        "rollout/correct": float(sum(breakdown.correct == 1 for breakdown in breakdowns)),
        **{f"tool_use/{name}": value for name, value in _tool_use(groups).items()},
        "rollout/turns": _mean(float(trajectory.turns) for trajectory in trajectories),
        "rollout/calls": len(calls) / len(trajectories),
        "rollout/valid_call_rate": _mean(float(call.well_formed) for call in calls),
        **_failed_calls(calls),
        "rollout/hidden_calls": _mean(float(trajectory.hidden_calls) for trajectory in trajectories),
        "rollout/cut_thoughts": _share(sum(t.cut_thoughts for t in trajectories), sum(t.turns for t in trajectories)),
        "rollout/tokens": float(sum(t.tokens.sampled for t in trajectories if t.tokens is not None)),
        **{f"rollout/stop_{reason}": stops.count(reason) / len(stops) for reason in sorted(set(stops))},
    }
    return {name: value for name, value in means.items() if value is not None}


def advantage_metrics(groups: Sequence[TrajectoryGroup]) -> dict[str, float]:
    """Split |advantage| by source: its mean, the share of each group kind, and the part of each term in each kind.

    `advantage/<term>_<kind>` is the sum of |A of the term| over that kind's trajectories, divided by the graded
    trajectories of the whole step, so that the kinds add up. Terms of opposite sign cancel in |A| but not here.
    `advantage/turn_difference` is the mean over turns of |advantage of the turn - that of its trajectory|.
    """
    graded = sum(advantage is not None for group in groups for advantage in group.advantages)
    if not graded:
        return {}
    by_kind = dict.fromkeys(GroupKind, 0.0)
    by_term: dict[str, float] = {}
    for group in groups:
        if group.kind is None:
            continue
        by_kind[group.kind] += sum(abs(advantage) for advantage in group.advantages if advantage is not None)
        for entry in group.advantage_parts:
            for term, value in (entry or {}).items():
                key = f"advantage/{term}_{group.kind}"
                by_term[key] = by_term.get(key, 0.0) + abs(value)
    total = sum(by_kind.values())
    shares = {f"advantage/share_{kind}": value / total for kind, value in by_kind.items()} if total else {}
    by_term = {key: by_term[key] / graded for key in sorted(by_term)}
    return {"advantage/abs_mean": total / graded, **shares, **by_term, **_turn_difference(groups)}


def _turn_difference(groups: Sequence[TrajectoryGroup]) -> dict[str, float]:
    """Nothing where credit is not given by turn."""
    differences = [
        abs(value - advantage)
        for group in groups
        for advantage, turns in zip(group.advantages, group.turn_advantages, strict=False)
        if advantage is not None and turns is not None
        for value in turns
    ]
    return {"advantage/turn_difference": sum(differences) / len(differences)} if differences else {}


def _terms(breakdowns: Sequence[RewardBreakdown]) -> list[str]:
    """The names of all terms but `correct`, which a floor may know where a term does not."""
    names = dict.fromkeys(name for breakdown in breakdowns for name in breakdown.terms)
    return [name for name in names if name != "correct"]


def _kinds(groups: Sequence[TrajectoryGroup], settings: AdvantageSettings) -> dict[str, float]:
    """Compute the share of each kind of group, and of zero-variance groups, which have no advantage."""
    kinds = [group.kind for group in groups]
    equal = [zero_variance_group(group.rewards, settings) for group in groups]
    shares = {f"groups/{kind}": kinds.count(kind) / len(groups) for kind in GroupKind}
    return {**shares, "groups/zero_variance": sum(equal) / len(groups)}


def _tool_use(groups: Sequence[TrajectoryGroup]) -> Numbers:
    """Similarity and cost of the step's tool use; its call errors are `rollout/call_<kind>`."""
    answers = [
        AnsweredCalls.from_trajectory(trajectory, breakdown.correct)
        for group in groups
        for trajectory, breakdown in zip(group.trajectories, group.rewards, strict=True)
    ]
    return {**similarity(answers), **cost(answers)}


def _failed_calls(calls: Sequence[CallRecord]) -> dict[str, float]:
    """The share of attempted calls that failed, by kind of failure."""
    if not calls:
        return {}
    errors = [call.error for call in calls]
    failures = [kind for kind in CallError if kind is not CallError.NOT_RUN]
    return {f"rollout/call_{kind}": errors.count(kind) / len(calls) for kind in failures}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
