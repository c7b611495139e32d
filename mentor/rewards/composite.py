"""The project's rewards: a weighted sum of terms, which makes `sparse`, `strict`, `flexible`, `results` and your own.

    total = sum over terms of weight * scale * value

`scale` is 1 for a correct answer and the term's `wrong_scale` otherwise. The term's gate decides where it counts at
all: always (`none`), with a correct answer (`outcome`), or with a correct answer anywhere in the group (`group`).
Trajectories without a final turn, or without an answer in the task's format in it, get a floor instead. Where a task
has right calls in place of an answer, `correct` says whether the calls of its one turn are these, and only a turn that
is cut off gets a floor.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from mentor.closing import Closing
from mentor.errors import GraderError, InputError
from mentor.jsonl import Report, warn
from mentor.rewards.answer_formats import final_answer
from mentor.rewards.call_judge import calls_verdict
from mentor.rewards.correctness import Grader
from mentor.rewards.grades import Grade, Missing, MissingGrades, Term
from mentor.rewards.own_grader import CORRECT, OwnGrader
from mentor.rewards.reward_terms import TermSettings
from mentor.rewards.turn_credit import with_earned
from mentor.types import RewardBreakdown, Task, Trajectory

MIN_ANSWERS = 20  # answers before the share of ungraded ones can stop a run


@dataclass(frozen=True)
class Judged:
    """The terms of one trajectory, `correct` among them, before any weight; those of a mapping are `<name>.<key>`.

    floor: which of the floors it gets; None where the formula applies. missing: why a grade could not be had, by term.
    """

    terms: dict[str, float | None]
    floor: str | None
    missing: Mapping[str, Missing] = field(default_factory=dict)


@dataclass(frozen=True)
class Formula:
    """The terms with their numbers: combines judged terms into totals. Pure."""

    terms: Mapping[str, TermSettings]
    floors: Mapping[str, float]

    @property
    def counting(self) -> list[str]:
        """The names of the terms that a total needs."""
        return [name for name, term in self.terms.items() if term.weight]

    def combine(self, group: Sequence[Judged]) -> list[RewardBreakdown]:
        """Build the breakdown of each trajectory of one group."""
        solved = any(judged.terms[CORRECT] for judged in group)
        return [self._breakdown(judged, solved) for judged in group]

    def _breakdown(self, judged: Judged, group_solved: bool) -> RewardBreakdown:
        terms, floor = judged.terms, judged.floor
        if floor is not None:
            weight = max(map(abs, self.floors.values()))
            return RewardBreakdown(self.floors[floor], terms, floor, {"floor": self.floors[floor]}, {"floor": weight})
        correct = terms[CORRECT]
        if correct is None:
            return RewardBreakdown(None, terms, _ungraded(judged, CORRECT))
        parts: dict[str, float] = {}
        weights: dict[str, float] = {}
        for name, value in terms.items():
            settings = self.terms.get(name.partition(".")[0])
            if settings is None or not settings.weight or not self._counts(settings, correct, group_solved):
                continue
            if value is None:
                return RewardBreakdown(None, terms, _ungraded(judged, name))
            parts[name] = settings.factor(correct) * value
            weights[name] = settings.weight
        total = math.fsum(parts.values())  # rounded once: 0.6 + 0.3 + 0.1 is 1.0
        return RewardBreakdown(total, terms, parts=parts, weights=weights)

    @staticmethod
    def _counts(settings: TermSettings, correct: float, group_solved: bool) -> bool:
        return {"none": True, "outcome": bool(correct), "group": group_solved}[settings.gate]


def _ungraded(judged: Judged, name: str) -> str:
    missing = judged.missing.get(name)
    return "ungraded" if missing is None else f"ungraded: {missing.why}"


class CompositeReward(Closing):
    """Scores groups of trajectories. Thread-safe; owns its grader processes unless the grader was given a pool.

    terms: what measures each term of the formula but `correct`. own_grader: says what is correct in place of the
    grader. report: called with the first failures of terms. groups_at_once: that are best scored together. by_turn: a
    breakdown says what the calls before each turn had earned (`turn_credit`).
    """

    def __init__(
        self,
        name: str,
        terms: Mapping[str, Term],
        formula: Formula,
        grader: Grader,
        max_ungraded: float,
        workers: int,
        own_grader: OwnGrader | None = None,
        report: Report = warn,
        groups_at_once: int = 1,
        by_turn: bool = False,
    ) -> None:
        self.name = name
        self.formula = formula
        self.term_names = (CORRECT, *terms)
        self.compares_results = any(formula.terms[name].term == "results" for name in formula.counting)
        self.groups_at_once = groups_at_once
        self._terms = terms
        self._by_turn = by_turn
        self._grader, self._own_grader = grader, own_grader
        self._missing = MissingGrades(report)
        self._max_ungraded = max_ungraded
        self._threads = ThreadPoolExecutor(workers, "grader")
        self._lock = threading.Lock()
        self.answers = 0  # trajectories that were graded, or could not be
        self.ungraded = 0  # those that could not be

    def score(self, trajectories: Sequence[Trajectory]) -> list[RewardBreakdown]:
        """Score the trajectories of one group: a total each, and the unweighted terms, `correct` among them.

        A term and the total are None where a grade could not be had. Raises InputError for a task that it `can_score`
        not, and GraderError when more than `max_ungraded` of the answers were not graded.
        """
        for trajectory in trajectories:
            lacks = self.lacks(trajectory.task)
            if lacks is not None:
                raise InputError(
                    f"task {trajectory.task.id!r} has no {lacks}, and reward {self.name!r} compares with them: "
                    "leave the task out, or set reward.weights.tool=0 reward.weights.valid=0"
                )
        breakdowns = self.formula.combine(self.judge(trajectories))
        if not self._by_turn:
            return breakdowns
        pairs = zip(trajectories, breakdowns, strict=True)
        return [with_earned(*pair, self._terms, self.formula.terms) for pair in pairs]

    def can_score(self, task: Task) -> bool:
        """Return whether all is known of the task's teacher that the formula needs."""
        return self.lacks(task) is None

    def lacks(self, task: Task) -> str | None:
        """Return what the formula has to know of the task and does not, None where it can be scored."""
        found = (self._terms[name].lacks(task) for name in self.formula.counting if name != CORRECT)
        return next(filter(None, found), None)

    def can_measure(self, task: Task) -> bool:
        """Return whether all is known of the task's teacher that any term needs, whatever its weight."""
        return not any(term.lacks(task) for term in self._terms.values())

    def judge(self, trajectories: Sequence[Trajectory]) -> list[Judged]:
        """Judge the trajectories of one group, without weights; `score` combines what it returns.

        A term is None for a teacher of whom too little is known, and where its grade could not be had.

        Raises GraderError when more than `max_ungraded` of the answers were not graded.
        """
        answers = [final_answer(trajectory) for trajectory in trajectories]
        floors = [self._floor(*pair) for pair in zip(trajectories, answers, strict=True)]
        grades: dict[str, Sequence[Grade]] = {CORRECT: self._outcomes(trajectories, answers, floors)}
        grades |= {name: _measured(term, trajectories, floors) for name, term in self._terms.items()}
        judged = [
            _judged({name: column[index] for name, column in grades.items()}, floor)
            for index, floor in enumerate(floors)
        ]
        for entry in judged:
            if entry.floor is None:
                self._count(entry)
        return judged

    def _floor(self, trajectory: Trajectory, answer: str | None) -> str | None:
        """Return the floor of a trajectory; right calls and a user's own grader ask for no answer in a format."""
        if trajectory.unfinished:
            return "unfinished"
        asked = trajectory.task.gold is None and self._own_grader is None
        return "no_answer" if asked and answer is None else None

    def _outcomes(
        self, trajectories: Sequence[Trajectory], answers: Sequence[str | None], floors: Sequence[str | None]
    ) -> Sequence[Grade]:
        if self._own_grader is None:
            return [*self._threads.map(self._grade, trajectories, answers)]
        asked = [trajectory for trajectory, floor in zip(trajectories, floors, strict=True) if floor is None]
        outcomes = iter(self._own_grader.outcomes(asked))
        return [next(outcomes).correct if floor is None else 0.0 for floor in floors]

    def _grade(self, trajectory: Trajectory, answer: str | None) -> Grade:
        if trajectory.task.gold is not None:
            return float(calls_verdict(trajectory).valid)
        if answer is None:
            return 0.0
        verdict = self._grader.grade(answer, trajectory.task.answer)
        if verdict is not None:
            return float(verdict)
        return Missing(f"the answer {answer[:80]!r} of task {trajectory.task.id} could not be compared", "not_compared")

    def _count(self, judged: Judged) -> None:
        """Count an answer. Raises GraderError where too many are without a grade that a total needs."""
        for name, missing in judged.missing.items():
            self._missing.note(name, missing)
        needed = (CORRECT, *self.formula.counting)
        why = next((judged.missing[name].why for name in needed if name in judged.missing), None)
        with self._lock:
            self.answers += 1
            self.ungraded += why is not None
            if self.answers >= MIN_ANSWERS and self.ungraded > self._max_ungraded * self.answers:
                raise GraderError(
                    f"{self.ungraded} of {self.answers} answers could not be graded, accepted: a share of "
                    f"reward.max_ungraded={self._max_ungraded}; {why or 'none of the last ones'}"
                )

    @property
    def missing(self) -> dict[str, int]:
        """How many grades could not be had, by term."""
        return dict(self._missing.counts)

    def close(self) -> None:
        self._threads.shutdown()
        for term in self._terms.values():
            term.close()
        if self._own_grader is not None:
            self._own_grader.close()
        self._grader.close()


def _measured(term: Term, trajectories: Sequence[Trajectory], floors: Sequence[str | None]) -> Sequence[Grade]:
    """Return the grades of a term; no number of trajectories that get a floor, where it is not asked of them."""
    if term.of_all:
        return term.grades(trajectories)
    asked = [trajectory for trajectory, floor in zip(trajectories, floors, strict=True) if floor is None]
    grades = iter(term.grades(asked))
    return [next(grades) if floor is None else {} for floor in floors]


def _judged(grades: Mapping[str, Grade], floor: str | None) -> Judged:
    """Lay the grades of one trajectory out by name."""
    terms: dict[str, float | None] = {}
    missing: dict[str, Missing] = {}
    for name, grade in grades.items():
        if isinstance(grade, Mapping):
            terms |= {f"{name}.{key}": value for key, value in grade.items()}
        elif isinstance(grade, Missing):
            terms[name], missing[name] = None, grade
        else:
            terms[name] = grade
    return Judged(terms, floor, missing)
