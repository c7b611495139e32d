"""A grader of the user's own: what says whether a trajectory is right, for rewards and for benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mentor.closing import Closing
from mentor.rewards.grades import Grade, Missing, Term
from mentor.types import Trajectory

CORRECT = "correct"


@dataclass(frozen=True)
class Outcome:
    """correct: 1.0 or 0.0, or why that is not known. scores: further numbers by name."""

    correct: float | Missing
    scores: Mapping[str, float] = field(default_factory=dict)


class OwnGrader(Closing):
    """Reads a term as a grader: it gives 1 or true where the trajectory is right, else 0 or false; alone or by name."""

    def __init__(self, term: Term) -> None:
        self._term = term

    def outcomes(self, trajectories: Sequence[Trajectory]) -> list[Outcome]:
        return [
            _outcome(grade, trajectory.task.id)
            for grade, trajectory in zip(self._term.grades(trajectories), trajectories, strict=True)
        ]

    def close(self) -> None:
        self._term.close()


def _outcome(grade: Grade, task_id: str) -> Outcome:
    if grade is None or isinstance(grade, Missing):
        return Outcome(grade or Missing(f"the grader says nothing of task {task_id}", "nothing"))
    named = grade if isinstance(grade, Mapping) else {CORRECT: grade}
    scores = {name: value for name, value in named.items() if name != CORRECT}
    if named.get(CORRECT) not in (0.0, 1.0):
        given = f"correct={named[CORRECT]:g}" if CORRECT in named else f"no `correct` among {', '.join(named)}"
        why = f"the grader gives {given} for task {task_id}; accepted: true or false, 1 or 0, or these as `correct`"
        return Outcome(Missing(why, "bad_value"), scores)
    return Outcome(named[CORRECT], scores)
