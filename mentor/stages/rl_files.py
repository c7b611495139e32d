"""The trajectories that stage=rl stores beside its metrics, with their rewards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mentor.jsonl import roll_back
from mentor.loggers import Logger
from mentor.policy.ranks import Ranks
from mentor.runs import RunFolder
from mentor.trajectories.store import TrajectoryWriter
from mentor.types import TrajectoryGroup


def roll_back_trajectories(folder: RunFolder, start: int, logger: Logger, ranks: Ranks) -> None:
    """Move aside the trajectories written after step `start`."""
    stored = folder.path / "trajectories" / "trajectories.jsonl"
    if ranks.is_main and stored.is_file() and (moved := roll_back(stored, start)):
        logger.message(f"{moved} trajectories written after step {start} moved aside")


@contextmanager
def trajectory_file(folder: RunFolder, logger: Logger, ranks: Ranks) -> Iterator[TrajectoryWriter | None]:
    """Open the file that rank 0 stores trajectories in; None on the other ranks."""
    if not ranks.is_main:
        yield None
        return
    with TrajectoryWriter(folder.path / "trajectories" / "trajectories.jsonl", logger.message) as store:
        yield store


def store_groups(store: TrajectoryWriter, groups: Sequence[TrajectoryGroup], step: int) -> None:
    """Store every trajectory of the step with its reward terms, and its advantage with what gave it."""
    for group in groups:
        for member, (trajectory, breakdown) in enumerate(zip(group.trajectories, group.rewards, strict=True)):
            reward: dict[str, Any] = {"total": breakdown.total, "terms": breakdown.terms, "parts": breakdown.parts}
            if group.guidance is not None:
                reward["guidance"] = group.guidance
            if breakdown.total is None:
                reward["note"] = breakdown.note
            record = {"step": step, **trajectory.to_dict(), "reward": reward, **_advantage(group, member)}
            store.write({**record, "group_kind": group.kind})


def _advantage(group: TrajectoryGroup, member: int) -> dict[str, Any]:
    """Return it with its parts by reward term.

    `turn_advantages` only where turns have advantages of their own; `distilled` only with a teacher: what it adds at
    each trained token to the advantage, which then counts times distill.reward_coef.
    """
    found: dict[str, Any] = {"advantage": group.advantages[member], "advantage_parts": group.advantage_parts[member]}
    if group.turn_advantages:
        found["turn_advantages"] = group.turn_advantages[member]
    if member in group.distilled:
        found["distilled"] = [round(value, 4) for value in group.distilled[member]]
    return found
