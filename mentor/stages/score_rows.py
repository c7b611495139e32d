"""The rows that stage=score reads, and work on their groups: rows of one `group_id` and `step`; a raw row is alone.

A first pass over the file checks every row and finds where each group ends. Later passes hold the groups that are open,
which is one where the rows of a group stand together, as stage=rl writes them.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mentor.config import TaskConfig
from mentor.errors import InputError
from mentor.loggers import Logger
from mentor.rewards.raw import check_raw_row, raw_trajectory
from mentor.rows import read_rows
from mentor.trajectories.store import stored_trajectory
from mentor.trajectories.tool_sets import ToolSets
from mentor.types import Trajectory

T = TypeVar("T")
GROUPS_AHEAD = 8  # of each worker: groups that are read before their turn


@dataclass(frozen=True)
class ScoreRow:
    """One record to score. `position` counts the rows of the file; `group` is equal for the rows of one group."""

    position: int
    id: str | int
    trajectory: Trajectory
    group: tuple[Any, ...]


@dataclass(frozen=True)
class ScoreRows:
    """The rows of a file. They are read anew by each iteration, one at a time.

    ends: (N,) bool, True on the rows after which none of the same group follows. answer_format: of raw rows; of stored
    trajectories too where it is not the default, else they keep their own.
    """

    path: Path
    ends: NDArray[np.bool_]
    answer_format: str = TaskConfig.answer_format

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[ScoreRow]:
        position = -1
        tool_sets = ToolSets(self.path.parent)
        for position, (place, record) in zip(range(len(self)), read_rows(self.path, "stage.input"), strict=False):
            yield self._row(position, record, place, tool_sets)
        if position + 1 < len(self):
            raise InputError(f"{self.path}: lost rows while it was read, accepted: a file that does not get shorter")

    def _row(self, position: int, record: dict[str, Any], place: str, tool_sets: ToolSets) -> ScoreRow:
        group = _group(record, place)
        if "schema" not in record:
            trajectory = raw_trajectory(record, place, self.answer_format)
            return ScoreRow(position, record.get("id", ""), trajectory, group)
        trajectory = stored_trajectory(record, place, tool_sets, schemas=False)
        if self.answer_format != TaskConfig.answer_format:
            trajectory = replace(trajectory, task=replace(trajectory.task, answer_format=self.answer_format))
        return ScoreRow(position, record.get("id", trajectory.task.id), trajectory, group)

    def groups(self) -> Iterator[list[ScoreRow]]:
        """Yield the rows of each group, in the order in which the groups end."""
        open_groups: dict[tuple[Any, ...], list[ScoreRow]] = {}
        for row in self:
            open_groups.setdefault(row.group, []).append(row)
            if self.ends[row.position]:
                yield open_groups.pop(row.group)
        yield from open_groups.values()  # none, unless the keys of two groups have one hash


def scan_rows(path: Path, answer_format: str = TaskConfig.answer_format) -> ScoreRows:
    """Check stored trajectories (records with the key `schema`) and raw rows, in any mix, from plain or gzip JSONL.

    Keeps 8 bytes a row. Raises InputError naming file and line for anything else, and for a file without rows.
    """
    tool_sets = ToolSets(path.parent)
    keys = array("q")
    for place, record in read_rows(path, "stage.input"):
        if "schema" in record:
            stored_trajectory(record, place, tool_sets, schemas=False)
        else:
            check_raw_row(record, place)
        keys.append(hash(_group(record, place)))
    ends = np.zeros(len(keys), dtype=bool)
    ends[len(keys) - 1 - np.unique(np.array(keys)[::-1], return_index=True)[1]] = True
    return ScoreRows(path, ends, answer_format)


def _group(record: dict[str, Any], place: str) -> tuple[Any, ...]:
    alone = "schema" not in record or record.get("group_id") is None
    return (place,) if alone else (record["group_id"], record.get("step"))


def work_on_groups(
    rows: ScoreRows, work: Callable[[list[Trajectory]], T], workers: int, logger: Logger, what: str
) -> Iterator[tuple[Sequence[ScoreRow], T]]:
    """Apply `work` to the trajectories of each group with `workers` threads. Yields (rows, result) as groups end.

    No more than GROUPS_AHEAD groups of each worker are read before the caller has taken the results of earlier ones.
    """
    waiting: deque[tuple[Sequence[ScoreRow], Future[T]]] = deque()
    with ThreadPoolExecutor(workers) as threads, logger.progress(len(rows), what) as bar:

        def first() -> tuple[Sequence[ScoreRow], T]:
            group, made = waiting.popleft()
            result = made.result()
            bar.advance(len(group))
            return group, result

        try:
            for group in rows.groups():
                waiting.append((group, threads.submit(work, [row.trajectory for row in group])))
                if len(waiting) > GROUPS_AHEAD * workers:
                    yield first()
            while waiting:
                yield first()
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
