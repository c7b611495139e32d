"""The tool engine of a perturbed task: it runs the calls in the engine of the tools, and lets some of them fail."""

from __future__ import annotations

import random
from typing import Any

from mentor.tools.engine import CallOutcome, ToolEngine, cut
from mentor.tools.perturbed.shown_tools import ShownTools
from mentor.tools.worlds import shown_result
from mentor.types import CallError, Perturbation

FAILURES = (
    "ConnectionError: connection reset by peer",
    "RuntimeError: the service is busy, try again",
    "OSError: resource temporarily unavailable",
)
"""What a call that fails at `failure_rate` says, as exceptions of tools do."""


class PerturbedEngine(ToolEngine):
    """Runs the calls of one trajectory in `engine`, which is open and stays so.

    Whether a call fails depends on the perturbation's key and the number of the call: the trajectories of one task meet
    the same failures, at the same places. A call that fails does not reach the tool. max_output_chars: of a
    distractor's result; the engine cuts those of its tools.
    """

    def __init__(
        self, engine: ToolEngine, shown: ShownTools, perturbation: Perturbation, max_output_chars: int
    ) -> None:
        self._engine, self._shown, self._perturbation = engine, shown, perturbation
        self._max_output_chars = max_output_chars
        self._calls = 0

    @property
    def isolation(self) -> str:
        return self._engine.isolation

    async def open(self) -> None:
        """Nothing to start: the engine of the tools is open."""

    async def call(self, name: str, arguments: dict[str, Any], session: str | None) -> CallOutcome:
        self._calls += 1
        if failure := self._failure(self._calls):
            return CallOutcome(CallError.EXCEPTION, failure)
        if (hidden := self._shown.hidden(name, arguments)) is not None:
            return CallOutcome(CallError.INVALID_ARGUMENTS, f"unexpected argument {hidden!r}")
        own, own_arguments = self._shown.own_call(name, arguments)
        if own in self._shown.distractors:
            result = shown_result(self._shown.distractors[own].run(own_arguments))
            return CallOutcome(None, cut(result, self._max_output_chars))
        return await self._engine.call(own, own_arguments, session)

    def _failure(self, number: int) -> str | None:
        rng = random.Random(f"perturbed/{self._perturbation.key}/failure/{number}")
        return rng.choice(FAILURES) if rng.random() < self._perturbation.failure_rate else None

    async def end_session(self, session: str) -> None:
        await self._engine.end_session(session)

    async def close(self) -> None:
        """Nothing to end: the engine of the tools is not this one's."""
