"""A curriculum over tasks: those are drawn that the student solves sometimes, and solved and hopeless ones rest.

A task is weighted by p (1 - p), with p the student's recent success at it: the variance of an answer's outcome, which
a group's advantage is made of (learnability, arXiv:2408.15099; the variance of a group's rewards, arXiv:2509.19803).
What a step draws depends on the seed, the step and the outcomes of the steps before.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from statistics import fmean
from typing import Any

from mentor.jsonl import JsonlWriter
from mentor.types import GroupKind, Task, TrajectoryGroup

UNKNOWN = 0.5  # success at a task of which nothing is known
PRIOR_TRIES = 2.0  # answers that what is known beforehand counts as


@dataclass(frozen=True)
class CurriculumSettings:
    """rest_steps: that a task is not drawn in, after its group was all right or all wrong. window: the last groups of a
    task that its recent success is counted over.
    """

    rest_steps: int = 0
    window: int = 3


@dataclass
class TaskRecord:
    """What is known of a task. prior: success before it was drawn. groups: (right, graded) answers of its last ones.

    last_step: in which it was drawn, and rests_until: the last step in which it is not; 0 for none.
    """

    prior: float
    groups: deque[tuple[int, int]]
    last_step: int = 0
    rests_until: int = 0

    @property
    def success(self) -> float:
        """Expected share of right answers, above 0 and below 1: the recent one, with the prior as two more."""
        right, graded = (sum(column) for column in zip(*self.groups, strict=True)) if self.groups else (0, 0)
        return (right + PRIOR_TRIES * self.prior) / (graded + PRIOR_TRIES)


@dataclass
class Curriculum:
    """Draws the tasks of an RL run. Every rank has its own, and all come to the same.

    prior: success by task id, above 0 and below 1, where something is known beforehand. store: gets a record of every
    group, from which `replay` restores the curriculum.
    """

    tasks: Sequence[Task]
    settings: CurriculumSettings
    seed: int
    prior: Mapping[str, float] = field(default_factory=dict)
    store: JsonlWriter | None = None

    def __post_init__(self) -> None:
        self._records = {
            task.id: TaskRecord(self.prior.get(task.id, UNKNOWN), deque(maxlen=self.settings.window))
            for task in self.tasks
        }
        self._expected: list[float] = []  # success at the tasks of the last step

    def success(self, task: Task) -> float:
        """Return the expected share of right answers to a task."""
        return self._records[task.id].success

    def draw(self, step: int, number: int, count: int) -> list[Task]:
        """Draw the tasks of the step's sampling round `number`, from 0: no task twice in a step.

        Where too few are left, resting ones are drawn too, the nearest to the end of their rest first; then some twice.
        """
        new = [task for task in self.tasks if self._records[task.id].last_step != step]
        awake = [task for task in new if self._records[task.id].rests_until < step]
        resting = [task for task in new if self._records[task.id].rests_until >= step]
        resting.sort(key=lambda task: self._records[task.id].rests_until)
        drawn = list(islice(cycle([*self._weighted(awake, step, number), *resting] or self.tasks), count))
        expected = [self.success(task) for task in drawn]
        self._expected = expected if number == 0 else self._expected + expected
        return drawn

    def record(self, step: int, groups: Iterable[TrajectoryGroup]) -> None:
        """Take the outcomes of scored groups into account; answers that could not be graded do not count."""
        for group in groups:
            graded = [breakdown.correct for breakdown in group.rewards if breakdown.correct is not None]
            right = sum(correct == 1 for correct in graded)
            rests = group.kind in (GroupKind.ALL_PASS, GroupKind.ALL_FAIL)
            entry = {"step": step, "task": group.task.id, "right": right, "graded": len(graded), "rests": rests}
            self.replay([entry])
            if self.store is not None:
                self.store.write(entry)

    def replay(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Take stored groups into account, in their order."""
        for entry in entries:
            record = self._records[entry["task"]]
            record.last_step = entry["step"]
            record.groups.append((entry["right"], entry["graded"]))
            if entry["rests"]:
                record.rests_until = entry["step"] + self.settings.rest_steps

    def metrics(self, step: int) -> dict[str, float]:
        """Return the success expected at the step's tasks, how many rest next, and the share of all drawn so far."""
        records = self._records.values()
        return {
            "curriculum/expected_success": fmean(self._expected),
            "curriculum/resting": float(sum(record.rests_until > step for record in records)),
            "curriculum/seen": sum(record.last_step > 0 for record in records) / len(records),
        }

    def _weighted(self, tasks: Sequence[Task], step: int, number: int) -> list[Task]:
        """Order tasks as weighted draws without replacement (Efraimidis and Spirakis 2006): by u**(1 / weight)."""
        rng = random.Random(f"curriculum/{self.seed}/{step}/{number}")
        keys: dict[str, float] = {}
        for task in tasks:
            success = self.success(task)
            keys[task.id] = math.log(1.0 - rng.random()) / (success * (1.0 - success))
        return sorted(tasks, key=lambda task: keys[task.id], reverse=True)
