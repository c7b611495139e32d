"""The terms of a reward by name: what each measures of a trajectory, and how it counts.

`reward.terms` -> `read_terms` -> TermSettings, and a Term for each (`build_term`). The outcome, `correct`, is judged
for every reward: other terms are gated and scaled by it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from mentor.endpoints.background import BackgroundEndpoint
from mentor.errors import ConfigError
from mentor.reward_keys import DEFAULTS
from mentor.rewards.grades import Grade, Term
from mentor.rewards.judge import JudgeTerm, RubricPath, check_rubric
from mentor.rewards.own_function import FunctionPath, OwnFunction, check_function
from mentor.rewards.own_grader import CORRECT
from mentor.rewards.result_match import same_results
from mentor.rewards.tool_match import MATCHERS, Matcher, can_compare
from mentor.types import Task, Trajectory

GATES = ("none", "outcome", "group")
OWN = ("path/to/file.py:function", "judge:path/to/rubric.md")
OTHER_NAMES = ("total", "mean", "ungraded", "floor", "overlong", "kl", "guidance")
"""Names in `reward/<name>` and among the parts of a total that are no terms."""

_NAME = re.compile(r"[A-Za-z]\w*")


@dataclass(frozen=True)
class TermSettings:
    """How a term counts. term: what is measured. wrong_scale: a factor with a wrong answer."""

    term: str
    weight: float
    gate: str = "none"
    wrong_scale: float = 1.0

    def factor(self, correct: float) -> float:
        """Return what the term's value is multiplied by."""
        return self.weight * (1.0 if correct else self.wrong_scale)


class BuiltinTerm:
    """A pure function of one trajectory. needs: what it has to know of a task and does not, None where it can."""

    of_all = True

    def __init__(self, measure: Callable[[Trajectory], float | None], needs: Callable[[Task], str | None]) -> None:
        self.measure, self.lacks = measure, needs

    def grades(self, trajectories: Sequence[Trajectory]) -> Sequence[Grade]:
        return [self.measure(trajectory) for trajectory in trajectories]

    def close(self) -> None:
        """Nothing is open."""


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


def _lacks_calls(task: Task) -> str | None:
    return "reference calls" if task.reference is None else None


def _lacks_results(task: Task) -> str | None:
    known = task.reference is None or can_compare(task, same_results)
    return _lacks_calls(task) if known else "results of its reference calls"


def _matching(matcher: Matcher) -> BuiltinTerm:
    return BuiltinTerm(
        lambda trajectory: match_term(trajectory, matcher),
        _lacks_results if matcher is same_results else _lacks_calls,
    )


BUILTIN: dict[str, BuiltinTerm] = {
    **{name: _matching(matcher) for name, matcher in MATCHERS.items()},
    "valid": BuiltinTerm(valid_term, _lacks_calls),
}
"""By name, beside `correct`."""


def read_terms(terms: Mapping[str, Mapping[str, Any]], where: str = "reward.terms") -> dict[str, TermSettings]:
    """Check the terms of a reward. Raises ConfigError naming the first key or name that is not accepted."""
    for name, term in terms.items():
        for key in ("term", "weight"):
            if term.get(key) is None:
                complete = ", ".join(other for other, entry in terms.items() if entry.get(key) is not None)
                raise ConfigError(
                    f"`{where}.{name}.{key}` is not set, which every term has; terms of this reward: {complete}"
                )
    return {name: _read_term(name, term, f"{where}.{name}") for name, term in terms.items()}


def _read_term(name: str, term: Mapping[str, Any], where: str) -> TermSettings:
    _check_name(name, where)
    keys = [entry.name for entry in fields(TermSettings)]
    for key in term:
        if key not in keys:
            raise ConfigError(f"`{where}.{key}` is not a key{_nearest(key, keys, where + '.')}")
    check_term(str(term["term"]), f"{where}.term", name)
    values = {**DEFAULTS, **{key: value for key, value in term.items() if value is not None}}
    own = values["term"] not in (CORRECT, *BUILTIN)
    _number(f"{where}.weight", values["weight"], -math.inf if own else 0.0, math.inf)
    _number(f"{where}.wrong_scale", values["wrong_scale"], 0.0, 1.0)
    if values["gate"] not in GATES:
        raise ConfigError(f"`{where}.gate={values['gate']}` is not accepted; accepted: {', '.join(GATES)}")
    return TermSettings(str(values["term"]), float(values["weight"]), values["gate"], float(values["wrong_scale"]))


def _check_name(name: str, where: str) -> None:
    if not _NAME.fullmatch(name) or name in OTHER_NAMES:
        raise ConfigError(
            f"`{where}`: {name!r} names no term; accepted: letters, digits and _, but for {', '.join(OTHER_NAMES)}"
        )


def check_term(term: str, where: str, name: str) -> None:
    """Raise ConfigError for what is no term, and for `correct` under another name or another term as `correct`."""
    if (term == CORRECT) != (name == CORRECT):
        raise ConfigError(f"`{where}={term}`: the term correct is called correct, and no other one is")
    if term != CORRECT and term not in BUILTIN:
        check_own(term, where, [CORRECT, *BUILTIN])


def check_own(text: str, where: str, builtin: Sequence[str]) -> None:
    """Raise ConfigError for what is no term or grader of the user's own. builtin: what is accepted beside."""
    function, rubric = FunctionPath.read(text), RubricPath.read(text)
    if function is not None:
        check_function(function, where)
    elif rubric is not None:
        check_rubric(rubric, where)
    else:
        raise ConfigError(f"`{where}={text}` is not accepted{_nearest(text, [*builtin, *OWN])}")


def read_sources(terms: Mapping[str, Any], where: str) -> dict[str, str]:
    """Check terms that only have a name and say what is measured. Raises ConfigError naming the first bad one."""
    for name, term in terms.items():
        _check_name(name, f"{where}.{name}")
        check_term(str(term), f"{where}.{name}", name)
    return {name: str(term) for name, term in terms.items()}


def files_of(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the file of each term or grader of the user's own, by its name; built-in ones have none."""
    found = {name: FunctionPath.read(source) or RubricPath.read(source) for name, source in sources.items()}
    return {f"{name}_file": str(own.file) for name, own in found.items() if own is not None}


@dataclass(frozen=True)
class OwnTerms:
    """What terms of the user's own need. timeout_s, workers: of a function. judge: None where no rubric is named."""

    timeout_s: float
    workers: int
    judge: BackgroundEndpoint | None = None


def build_term(term: str, own: OwnTerms, grader: bool = False) -> Term:
    """Build what measures a term, but for `correct`; one of the user's own is loaded. grader: it says what is correct.

    Raises InputError for a file that cannot be run, ConfigError for a rubric without a judge.
    """
    if term in BUILTIN:
        return BUILTIN[term]
    function, rubric = FunctionPath.read(term), RubricPath.read(term)
    if function is not None:
        return OwnFunction(function, own.timeout_s, own.workers)
    if rubric is None or own.judge is None:
        raise ConfigError(f"`{term}` needs an open judge; accepted: a stage that opens judge=, or another term")
    return JudgeTerm(rubric, own.judge, grader)


def _number(key: str, value: Any, low: float, high: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and low <= value <= high):
        accepted = "a number" if math.isinf(low) else f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
        raise ConfigError(f"`{key}={value}` is not accepted; accepted: {accepted}")


def _nearest(given: str, accepted: Sequence[str], prefix: str = "") -> str:
    near = get_close_matches(given, accepted, n=1)
    listed = ", ".join(f"{prefix}{name}" for name in accepted)
    return f"; did you mean `{prefix}{near[0]}`?" if near else f"; accepted: {listed}"
