"""The project's rewards: one formula whose weights, matcher and gate make `sparse`, `strict`, `flexible` and `results`.

    total = w.correct * correct + w.tool * scale * match + w.valid * valid

`scale` is 1 for a correct answer and `wrong_scale` otherwise. The gate decides where `match` and `valid` count at all:
always (`none`), with a correct answer (`outcome`), or with a correct answer anywhere in the group (`group`).
Trajectories without a final turn, or without a boxed answer in it, get a floor instead.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mentor.closing import Closing
from mentor.errors import GraderError, InputError
from mentor.rewards.boxed import boxed_answer
from mentor.rewards.correctness import Grader
from mentor.rewards.result_match import same_results
from mentor.rewards.tool_match import Matcher, can_compare
from mentor.types import RewardBreakdown, Task, Trajectory

GATES = ("none", "outcome", "group")
MIN_ANSWERS = 20  # answers before the share of ungraded ones can stop a run


@dataclass(frozen=True)
class Judged:
    """The terms of one trajectory, `correct`, `match` and `valid`, before any weight.

    floor: which of the floors it gets; None where the formula applies.
    """

    terms: dict[str, float | None]
    floor: str | None


@dataclass(frozen=True)
class Formula:
    """The formula with its numbers: combines judged terms into totals. Pure."""

    weights: Mapping[str, float]
    wrong_scale: float
    gate: str
    floors: Mapping[str, float]

    @property
    def needs_reference(self) -> bool:
        """Whether `match` and `valid` must be known."""
        return self.weights["tool"] > 0 or self.weights["valid"] > 0

    def combine(self, group: Sequence[Judged]) -> list[RewardBreakdown]:
        """Build the breakdown of each trajectory of one group; `match` and `valid` must be known where needed."""
        solved = any(judged.terms["correct"] for judged in group)
        return [self._breakdown(judged, solved) for judged in group]

    def _breakdown(self, judged: Judged, group_solved: bool) -> RewardBreakdown:
        terms, floor = judged.terms, judged.floor
        if floor is not None:
            return RewardBreakdown(self.floors[floor], terms, floor, {"floor": self.floors[floor]})
        if terms["correct"] is None:
            return RewardBreakdown(None, terms, "ungraded")
        parts = self._parts(terms["correct"], terms["match"], terms["valid"], group_solved)
        total = math.fsum(parts.values())  # rounded once: 0.6 + 0.3 + 0.1 is 1.0
        return RewardBreakdown(total, terms, parts=parts)

    def _parts(self, correct: float, match: float | None, valid: float | None, group_solved: bool) -> dict[str, float]:
        counts = {"none": True, "outcome": bool(correct), "group": group_solved}[self.gate]
        scale = 1.0 if correct else self.wrong_scale
        parts = {"correct": self.weights["correct"] * correct}
        if counts and self.needs_reference:
            assert match is not None and valid is not None  # a task without a reference was refused before
            parts |= {"match": self.weights["tool"] * scale * match, "valid": self.weights["valid"] * valid}
        return parts


class CompositeReward(Closing):
    """Scores groups of trajectories. Thread-safe; owns its grader processes unless the grader was given a pool."""

    def __init__(
        self, name: str, matcher: Matcher, formula: Formula, grader: Grader, max_ungraded: float, workers: int
    ) -> None:
        self.name = name
        self.formula = formula
        self.compares_results = matcher is same_results and formula.weights["tool"] > 0
        self._matcher = matcher
        self._grader = grader
        self._max_ungraded = max_ungraded
        self._threads = ThreadPoolExecutor(workers, "grader")
        self._lock = threading.Lock()
        self.answers = 0  # boxed answers seen
        self.ungraded = 0  # those the grader failed on

    def score(self, trajectories: Sequence[Trajectory]) -> list[RewardBreakdown]:
        """Score the trajectories of one group: a total each, and the unweighted terms `correct`, `match` and `valid`.

        `correct` and the total are None where the grader failed. Raises InputError for a task that it `can_score` not,
        and GraderError when more than `max_ungraded` of the answers were not graded.
        """
        for trajectory in trajectories:
            if not self.can_score(trajectory.task):
                lacks = "reference calls" if trajectory.task.reference is None else "results of its reference calls"
                raise InputError(
                    f"task {trajectory.task.id!r} has no {lacks}, and reward {self.name!r} compares with them: "
                    "leave the task out, or set reward.weights.tool=0 reward.weights.valid=0"
                )
        return self.formula.combine(self.judge(trajectories))

    def can_score(self, task: Task) -> bool:
        """Return whether all is known of the task's teacher that the formula needs."""
        return not self.formula.needs_reference or can_compare(task, self._matcher)

    def judge(self, trajectories: Sequence[Trajectory]) -> list[Judged]:
        """Judge the trajectories of one group, without weights; `score` combines what it returns.

        `match`, and `valid` without any call, are None for an unknown teacher, `match` also for unknown results that
        the matcher needs.

        Raises GraderError when more than `max_ungraded` of the answers were not graded.
        """
        answers = [boxed_answer(trajectory) for trajectory in trajectories]
        verdicts = self._threads.map(self._grade, trajectories, answers)
        return [
            self._judged(trajectory, answer, verdict)
            for trajectory, answer, verdict in zip(trajectories, answers, verdicts, strict=True)
        ]

    def _grade(self, trajectory: Trajectory, answer: str | None) -> bool | None:
        if answer is None:
            return False
        verdict = self._grader.grade(answer, trajectory.task.answer)
        with self._lock:
            self.answers += 1
            self.ungraded += verdict is None
            if self.answers >= MIN_ANSWERS and self.ungraded > self._max_ungraded * self.answers:
                raise GraderError(
                    f"{self.ungraded} of {self.answers} answers could not be graded, accepted: a share of "
                    f"reward.max_ungraded={self._max_ungraded}; the last one was {answer[:80]!r}"
                )
        return verdict

    def _judged(self, trajectory: Trajectory, answer: str | None, verdict: bool | None) -> Judged:
        correct = None if verdict is None else float(verdict)
        terms = {"correct": correct, "match": match_term(trajectory, self._matcher), "valid": valid_term(trajectory)}
        unfinished = "unfinished" if trajectory.final_text is None else "no_answer"
        return Judged(terms, unfinished if answer is None else None)

    def close(self) -> None:
        self._threads.shutdown()
        self._grader.close()


def match_term(trajectory: Trajectory, matcher: Matcher) -> float | None:
    """Return how far the attempted calls match the teacher's, in [0, 1]; None where too little is known of the teacher.

    The matcher decides what a failed attempt costs (`tool_match.py`). Where the teacher used no tool, any attempted
    call is a mismatch, whether or not it ran.
    """
    reference = trajectory.task.reference
    if reference is None or not can_compare(trajectory.task, matcher):
        return None
    if not reference:
        return float(not trajectory.calls)
    return matcher(trajectory.calls_with_results(), reference)


def valid_term(trajectory: Trajectory) -> float | None:
    """Return the share of well-formed calls of known tools; without any call 1 if the teacher made none, else 0.

    None without any call where the teacher is unknown.
    """
    calls, reference = trajectory.calls, trajectory.task.reference
    if calls:
        return sum(call.well_formed for call in calls) / len(calls)
    return None if reference is None else float(not reference)
