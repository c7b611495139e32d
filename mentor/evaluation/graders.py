"""Graders of benchmarks by the name that `benchmark.<name>.grader` gives: finished trajectory -> verdict.

Each grader is a class with `grade`, entered in `BUILDERS` and in the choices of `BenchmarkConfig.grader`. One of the
user's own is `path/to/file.py:function` or `judge:path/to/rubric.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

from mentor.endpoints.background import BackgroundEndpoint
from mentor.evaluation.qa import exact_match, token_f1
from mentor.jsonl import Report
from mentor.rewards.answer_formats import answer_text, final_answer
from mentor.rewards.call_judge import calls_verdict
from mentor.rewards.correctness import Grader
from mentor.rewards.grades import Missing, MissingGrades, Term
from mentor.rewards.own_grader import OwnGrader
from mentor.rewards.quantities import clean
from mentor.rewards.reward_terms import OwnTerms, build_term
from mentor.types import Trajectory


@dataclass(frozen=True)
class Verdict:
    """correct: None where none could be reached. scores: named shares (0 to 1), whose means a row of results holds.

    reason: why an answer is wrong, in a word that can be counted; None where the grader gives none.
    """

    correct: bool | None
    scores: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the keys that a record of items.jsonl has for the verdict."""
        return {"correct": self.correct, "scores": dict(self.scores), "reason": self.reason}


class TrajectoryGrader(Protocol):
    """Judges finished trajectories of one benchmark, each by itself."""

    def grade(self, trajectory: Trajectory) -> Verdict:
        """Judge the trajectory; a bad one gets a verdict, never an exception."""


class AnswerGrader:
    """Whether the answer of the final turn is an accepted one, as in the project's rewards."""

    def __init__(self, answers: Grader) -> None:
        self._answers = answers

    def grade(self, trajectory: Trajectory) -> Verdict:
        return Verdict(self._answers.grade(final_answer(trajectory), trajectory.task.answer))


class QaGrader:
    """Exact match and token F1 of the final turn's answer, or of all it says where none is found; thinking apart.

    Scores `em` and `f1`, each the best over the accepted answers; correct is em = 1.
    """

    def grade(self, trajectory: Trajectory) -> Verdict:
        answer = final_answer(trajectory)
        said = (answer_text(trajectory) or "") if answer is None else clean(answer)
        accepted = trajectory.task.answer
        em = max((exact_match(said, answer) for answer in accepted), default=0.0)
        f1 = max((token_f1(said, answer) for answer in accepted), default=0.0)
        return Verdict(em == 1.0, {"em": em, "f1": f1})


class CallsGrader:
    """Whether the calls of a task with right calls are these, by BFCL's rules; `reason` is the official checker's code.

    It is `no_turn` where there was no turn to judge.
    """

    def grade(self, trajectory: Trajectory) -> Verdict:
        found = calls_verdict(trajectory)
        return Verdict(found.valid, reason=found.error_type)


BUILDERS: dict[str, Callable[[Grader], TrajectoryGrader]] = {
    "answer": AnswerGrader,
    "qa": lambda answers: QaGrader(),
    "bfcl": lambda answers: CallsGrader(),
}
"""From the project's grader of answers, whose processes all benchmarks share, the grader of each name."""


class OwnTrajectoryGrader:
    """A grader of the user's own. A verdict that it cannot give has the kind of failure as its reason.

    It is not asked about a trajectory without a turn that can be judged, which is wrong.
    """

    def __init__(self, grader: OwnGrader, missing: MissingGrades) -> None:
        self._grader, self._missing = grader, missing

    def grade(self, trajectory: Trajectory) -> Verdict:
        if trajectory.unfinished:
            return Verdict(False, reason="unfinished")
        (outcome,) = self._grader.outcomes([trajectory])
        if isinstance(outcome.correct, Missing):
            self._missing.note("grader", outcome.correct)
            return Verdict(None, outcome.scores, outcome.correct.kind)
        return Verdict(outcome.correct == 1.0, outcome.scores)


class GraderWithTerms:
    """A grader whose verdicts hold the values of terms too. A value that cannot be had is left out."""

    def __init__(self, grader: TrajectoryGrader, terms: Mapping[str, Term], missing: MissingGrades) -> None:
        self._grader, self._terms, self._missing = grader, terms, missing

    def grade(self, trajectory: Trajectory) -> Verdict:
        verdict = self._grader.grade(trajectory)
        scores = dict(verdict.scores)
        measured = {name: term for name, term in self._terms.items() if term.of_all or not trajectory.unfinished}
        for name, term in measured.items():
            (grade,) = term.grades([trajectory])
            if isinstance(grade, Missing):
                self._missing.note(name, grade)
            elif isinstance(grade, Mapping):
                scores |= {f"{name}.{key}": value for key, value in grade.items()}
            elif grade is not None:
                scores[name] = grade
        return replace(verdict, scores=scores)


@contextmanager
def open_grader(
    name: str,
    terms: Mapping[str, str],
    answers: Grader,
    report: Report,
    timeout_s: float,
    judge: BackgroundEndpoint | None = None,
) -> Iterator[TrajectoryGrader]:
    """Open the grader of a benchmark, one of BUILDERS or of the user's own, which also measures `terms`.

    report: called with the first failures of what is the user's own. timeout_s: wall clock of one call of it.
    judge: what rubrics are given to.

    Raises InputError where a file of the user's cannot be run.
    """
    missing = MissingGrades(report)
    with ExitStack() as opened:

        def own(source: str, grader: bool = False) -> Term:
            return opened.enter_context(closing(build_term(source, OwnTerms(timeout_s, 1, judge), grader)))

        grader: TrajectoryGrader
        if name in BUILDERS:
            grader = BUILDERS[name](answers)
        else:
            grader = OwnTrajectoryGrader(OwnGrader(own(name, True)), missing)
        measured = {term: own(source) for term, source in terms.items()}
        yield GraderWithTerms(grader, measured, missing) if measured else grader
