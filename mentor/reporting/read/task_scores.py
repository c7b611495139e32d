"""Scores of an evaluation by task, read from its trajectories, for paired tests and for the cost of an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mentor.errors import InputError
from mentor.jsonl import Record, read_jsonl
from mentor.reporting.read.records import setting_name

TaskKey = tuple[str, str]  # id and question: ids of another data set may be alike
Row = tuple[str, str]  # split and setting: what a row of an evaluation's results is about


@dataclass
class TaskScores:
    """Scores of one row. `graded`: per task (correct answers, graded answers); a task without a verdict is absent.

    `sampled_tokens` is None where a trajectory has none.
    """

    graded: dict[TaskKey, tuple[float, int]] = field(default_factory=dict)
    correct: int = 0
    sampled_tokens: int | None = 0

    def scores(self) -> dict[TaskKey, float]:
        """Return the share of correct answers of each task."""
        return {task: right / answers for task, (right, answers) in self.graded.items()}

    def add(self, record: Record) -> None:
        """Count one record of items.jsonl."""
        task, verdict, tokens = record["task"], record["correct"], record["tokens"]
        if tokens is None or self.sampled_tokens is None:
            self.sampled_tokens = None
        else:
            self.sampled_tokens += sum(tokens["loss_mask"])
        if verdict is None:
            return
        key = (task["id"], task["question"])
        right, answers = self.graded.get(key, (0.0, 0))
        self.graded[key] = (right + verdict, answers + 1)
        self.correct += verdict == 1


def read_task_scores(path: Path, report: Callable[[str], None]) -> dict[Row, TaskScores]:
    """Read items.jsonl of an evaluation, by split and setting. Raises InputError naming a record that is no item."""
    found: dict[Row, TaskScores] = {}
    for number, record in enumerate(read_jsonl(path, report), start=1):
        try:
            row = (record["task"]["split"], setting_name(record["mode"], record.get("with_tools")))
            found.setdefault(row, TaskScores()).add(record)
        except KeyError as error:
            raise InputError(f"{path}: record {number} is not a trajectory (no key {error})") from None
    return found
