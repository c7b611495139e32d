"""End a rollout whose tasks are refused alike, one after the other, before the first turns of all tasks are paid for.

outcomes of an endpoint, in task order -> **refusals** -> the files. A task without an answer waits here until a later
task gets through, which shows that the fault was its own; those that wait when the rollout ends early stay unsolved.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import SequenceMatcher

from mentor.endpoints.spending import NoMoreRequests
from mentor.errors import StageError
from mentor.teachers.outcomes import Outcomes, Rejection, TaskOutcome
from mentor.types import Task

UNANSWERED = frozenset({"request_failed", "request_refused"})
ALIKE = 0.8  # share of words in common, in order
_WITH_DIGIT = re.compile(r"\S*\d\S*")


class Refusals:
    """The tasks that wait. limit: how many end the rollout, None for no end. stop: called once then, with why."""

    def __init__(
        self, outcomes: Outcomes, limit: int | None, concurrency: int, endpoint: str, stop: Callable[[str], None]
    ) -> None:
        self.outcomes, self.limit, self.concurrency = outcomes, limit, concurrency
        self.endpoint, self.stop = endpoint, stop
        self.waiting: list[tuple[Task, Rejection]] = []
        self.why: str | None = None
        self._answered = False  # whether any task got through

    def room(self) -> int:
        """Tasks that may be in flight: until one gets through, no more than may be refused."""
        if self._answered or self.limit is None:
            return self.concurrency
        return min(self.concurrency, self.limit - len(self.waiting))

    def write(self, task: Task, outcome: TaskOutcome) -> None:
        """Take the next outcome in task order."""
        if isinstance(outcome, Rejection) and outcome.reason in UNANSWERED and self.limit is not None:
            self._wait(task, outcome, self.limit)
            return
        if not isinstance(outcome, NoMoreRequests):
            self._answered = True
            self._release()
        self.outcomes.write(task, outcome)

    def finish(self) -> None:
        """Reject those that wait, unless the rollout ended early. Raises StageError where they are why."""
        if self.why is not None:
            raise StageError(self.why)
        if self.outcomes.stopped_by is None:
            self._release()

    def _wait(self, task: Task, rejection: Rejection, limit: int) -> None:
        if self.waiting and not alike(self.waiting[-1][1].detail, rejection.detail):
            self._release()
        self.waiting.append((task, rejection))
        if len(self.waiting) == limit and self.why is None:
            self.why = (
                f"{self.endpoint}: {limit} tasks in a row were refused alike, the last ({task.id}) with "
                f"{rejection.detail}; all answers are stored: the same command resumes once the cause is mended and "
                "reuses them (teacher.max_refused_in_a_row=null rejects such tasks and goes on)"
            )
            self.stop(self.why)

    def _release(self) -> None:
        if self.why is None:
            for task, rejection in self.waiting:
                self.outcomes.write(task, rejection)
            self.waiting.clear()


def alike(one: str, other: str) -> bool:
    """Whether two refusals say the same; numbers, ids and places in them may differ."""
    words, others = (_WITH_DIGIT.sub("#", detail).split() for detail in (one, other))
    return SequenceMatcher(None, words, others).ratio() >= ALIKE
