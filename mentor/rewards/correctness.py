"""The project's grader: whether an answer is right.

Most answers are compared here by rules (`answers.py`); what is left goes to math-verify in a grader process, which is
killed when late. Works from any thread. Not proof against an answer that restates the sum (`48/2` for 24 is right).
"""

from __future__ import annotations

from collections.abc import Sequence

from mentor.closing import Closing
from mentor.errors import InputError
from mentor.rewards.answers import AnswerPair, decide
from mentor.rewards.boxed import extract_boxed
from mentor.rewards.grader_pool import GraderPool


class Grader(Closing):
    """Grades answers. It starts and closes grader processes itself unless it is given a pool."""

    def __init__(self, timeout_s: float = 5.0, workers: int = 1, pool: GraderPool | None = None) -> None:
        self.timeout_s = timeout_s
        self._own_pool = GraderPool(workers) if pool is None else None
        self._pool = pool or self._own_pool

    def grade(self, prediction: str | None, accepted: Sequence[str]) -> bool | None:
        """Return whether the prediction is any accepted answer; None if that could not be decided within `timeout_s`.

        An absent or blank prediction is wrong. A boxed accepted answer is unwrapped.
        Raises InputError for an accepted answer that is not text.
        """
        assert self._pool is not None
        answers = [_accepted_text(answer) for answer in ([accepted] if isinstance(accepted, str) else accepted)]
        if prediction is None or not prediction.strip():
            return False
        pairs = [AnswerPair(prediction, answer) for answer in dict.fromkeys(answers)]
        verdicts = [decide(pair)[1] for pair in pairs]
        if True in verdicts:
            return True
        left: dict[str, list[str]] = {}  # of each text that the prediction is compared as, the accepted ones
        for pair, verdict in zip(pairs, verdicts, strict=True):
            if verdict is None:
                left.setdefault(pair.given, []).append(pair.wanted)
        judged = [self._pool.judge("project", given, wanted, self.timeout_s) for given, wanted in left.items()]
        return True if True in judged else None if None in judged else False

    def close(self) -> None:
        if self._own_pool is not None:
            self._own_pool.close()


def _accepted_text(answer: object) -> str:
    if not isinstance(answer, str):
        raise InputError(f"an accepted answer is {answer!r} ({type(answer).__name__}), accepted: text")
    boxed = extract_boxed(answer)
    return answer if boxed is None else boxed
