"""The two judgements that need math-verify. Runs inside a grader process only, in its main thread.

math-verify limits its own time with an alarm signal, which works nowhere else; `grader_pool.py` is the caller's side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from antlr4.atn.PredictionMode import PredictionMode  # type: ignore[import-untyped]
from latex2sympy2_extended import latex2sympy2  # type: ignore[import-untyped]
from math_verify import parse, verify  # type: ignore[import-untyped]
from math_verify.errors import TimeoutException  # type: ignore[import-untyped]
from math_verify.metric import math_metric  # type: ignore[import-untyped]
from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig  # type: ignore[import-untyped]
from math_verify.utils import timeout  # type: ignore[import-untyped]
from sympy import Basic, nan, zoo  # type: ignore[import-untyped]

from mentor.rewards.constants import different
from mentor.rewards.expressions import to_latex

_LATEX = (LatexExtractionConfig(),)
_released_metric = math_metric(
    gold_extraction_target=(LatexExtractionConfig(),),
    pred_extraction_target=(ExprExtractionConfig(), LatexExtractionConfig()),
)


class _Parser(latex2sympy2.PSParser):
    r"""math-verify's parser of LaTeX, in two stages where `quick`, as ANTLR advises: most time goes into predictions.

    The first stage predicts without context. It gives the same tree or a syntax error; then the second one parses as
    math-verify does. `quick` is False for the released rewards.
    """

    quick = False

    def math(self) -> Any:
        if _Parser.quick:
            self._interp.predictionMode = PredictionMode.SLL
            try:
                return super().math()
            except Exception:  # what math-verify's listener raises for a syntax error
                self.reset()
                self._interp.predictionMode = PredictionMode.LL
        return super().math()


latex2sympy2.PSParser = _Parser


class ComparisonFailed(Exception):
    """The comparison failed, so that there is no verdict."""


def judge_project(prediction: str, accepted: Sequence[str], limit_s: float) -> bool:
    """Return whether the prediction equals any accepted answer symbolically, both read as LaTeX as a whole.

    Both go into dollar signs: math-verify takes bare text apart and would call 5 equal to 5 pi. `limit_s` bounds each
    of its steps. Raises ComparisonFailed where a comparison ran out of time or broke.
    """
    seconds = max(1, math.floor(limit_s / 2))
    failed = False
    given = _read(prediction, seconds)
    if not given:
        return False
    for answer in accepted:
        try:
            wanted = _read(answer, seconds)
            if not wanted or _constants_differ(given[0], wanted[0], seconds):
                continue
            if verify(wanted, given, timeout_seconds=seconds, raise_on_error=True):
                return True
        except (Exception, TimeoutException):  # math-verify raises what sympy does; the other answers still count
            failed = True
    if failed:
        raise ComparisonFailed
    return False


def _constants_differ(given: Any, wanted: Any, seconds: int) -> bool:
    """Return whether two constants certainly differ; False where sympy cannot evaluate them (in time)."""
    try:
        return bool(timeout(seconds)(different)(given, wanted))
    except (Exception, TimeoutException):
        return False


def _read(text: str, seconds: int) -> list:
    """Parse to the expression and its text; an empty list where there is none, or where a number is infinite."""
    _Parser.quick = "dot" not in text  # the one command that the two stages read differently: \dots is an accent, an s
    try:
        found = parse(f"${to_latex(text)}$", _LATEX, parsing_timeout=seconds, raise_on_error=True)
    except TimeoutException as error:
        raise ComparisonFailed from error
    finally:
        _Parser.quick = False
    return [] if any(isinstance(value, Basic) and value.has(nan, zoo) for value in found) else found


def judge_released(prediction: str, ground_truths: Sequence[str], limit_s: float) -> bool:
    """Judge as released: by the metric, or by parse and verify on both bare strings; a failure is no match.

    `limit_s` is not used: the released functions keep math-verify's own limits.
    """
    if any(_holds(_metric_says, prediction, truth) for truth in ground_truths):
        return True
    return any(_holds(_verify_says, prediction, truth) for truth in ground_truths)


def _metric_says(prediction: str, truth: str) -> bool:
    return _released_metric([f"\\boxed{{{truth}}}"], [prediction])[0] > 0


def _verify_says(prediction: str, truth: str) -> bool:
    return bool(verify(parse(truth), parse(prediction)))


def _holds(says: Callable[[str, str], bool], prediction: str, truth: str) -> bool:
    """Any failure is no match, as in the released functions (golden README, quirk 17)."""
    try:
        return says(prediction, truth)
    except (Exception, TimeoutException):
        return False


JUDGES: dict[str, Callable[[str, Sequence[str], float], bool]] = {
    "project": judge_project,
    "released": judge_released,
}
