"""The rows that stage=score reads, and work on their groups: rows of one `group_id` and `step`; a raw row is alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mentor.loggers import Logger
from mentor.rewards.raw import raw_trajectory
from mentor.rows import read_rows
from mentor.trajectories.store import stored_trajectory
from mentor.types import Trajectory

T = TypeVar("T")


@dataclass(frozen=True)
class ScoreRow:
    """One record to score. `group`: equal for the rows of one group."""

    id: str | int
    trajectory: Trajectory
    group: tuple[Any, ...]


def load_rows(path: Path) -> list[ScoreRow]:
    """Read stored trajectories (records with the key `schema`) and raw rows, in any mix, from plain or gzip JSONL.

    Raises InputError naming file and line for anything else, and for a file without rows.
    """
    checked: set[str] = set()
    return [_row(record, place, checked) for place, record in read_rows(path, "stage.input")]


def _row(record: dict[str, Any], place: str, checked: set[str]) -> ScoreRow:
    if "schema" not in record:
        return ScoreRow(record.get("id", ""), raw_trajectory(record, place), (place,))
    trajectory = stored_trajectory(record, place, checked)
    group = (place,) if trajectory.group_id is None else (trajectory.group_id, record.get("step"))
    return ScoreRow(record.get("id", trajectory.task.id), trajectory, group)


def groups_of(rows: Sequence[ScoreRow]) -> list[list[int]]:
    """Return the positions of each group's rows; groups and rows in the order of the file."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for position, row in enumerate(rows):
        groups.setdefault(row.group, []).append(position)
    return list(groups.values())


def work_on_groups(
    rows: Sequence[ScoreRow],
    groups: Sequence[Sequence[int]],
    work: Callable[[list[Trajectory]], T],
    workers: int,
    logger: Logger,
    what: str,
) -> Iterator[tuple[Sequence[int], T]]:
    """Apply `work` to the trajectories of each group with `workers` threads. Yields (positions, result) in order."""

    def of_group(positions: Sequence[int]) -> tuple[Sequence[int], T]:
        return positions, work([rows[position].trajectory for position in positions])

    with ThreadPoolExecutor(workers) as threads, logger.progress(sum(map(len, groups)), what) as bar:
        try:
            for positions, made in threads.map(of_group, groups):
                yield positions, made
                bar.advance(len(positions))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
