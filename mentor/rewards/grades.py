"""What a term or a grader says of a trajectory, and grades that could not be had."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mentor.jsonl import Report
from mentor.types import Task, Trajectory


@dataclass(frozen=True)
class Missing:
    """A grade that could not be had. why: one line. kind: a word that can be counted."""

    why: str
    kind: str


Grade = float | Mapping[str, float] | Missing | None
"""Of one trajectory: a number, several by name, or none; None where too little is known of the task's teacher."""


class Term(Protocol):
    """Measures trajectories.

    of_all: whether those that get a floor are measured too, which costs nothing.
    """

    of_all: bool

    def lacks(self, task: Task) -> str | None:
        """Return what the term has to know of a task and does not; None where it can be measured."""

    def grades(self, trajectories: Sequence[Trajectory]) -> Sequence[Grade]:
        """Measure each trajectory. What fails is Missing, never an exception."""

    def close(self) -> None: ...


class MissingGrades:
    """Counts missing grades by name, and reports the first of each kind. Thread-safe."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._seen: set[tuple[str, str]] = set()
        self.counts: Counter[str] = Counter()

    def note(self, name: str, missing: Missing) -> None:
        with self._lock:
            self.counts[name] += 1
            first = (name, missing.kind) not in self._seen
            self._seen.add((name, missing.kind))
        if first:
            self._report(f"no grade for {name}: {missing.why}; further ones of this kind are counted")
