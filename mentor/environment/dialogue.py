"""Questions one after the other: each is answered as in a rollout, with all that was said before in its prompt."""

from __future__ import annotations

from typing import Any

from mentor.environment.environment import Environment
from mentor.environment.requests import RolloutRequest, derive_seed
from mentor.types import StopReason, Task, Trajectory


class Dialogue:
    """A conversation with the student of an open environment.

    greedy: decode greedily; else at the temperature, top_p and top_k given, every question with its own seed.
    messages: what was said so far, in the OpenAI shape. An exchange that ended without an answer is not part of it:
    the student never saw one in its prompt.
    """

    def __init__(
        self,
        environment: Environment,
        greedy: bool = True,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
    ) -> None:
        self.environment, self.seed = environment, seed
        self._drawn = (0.0, 1.0, None) if greedy else (temperature, top_p, top_k)
        self.messages: list[dict[str, Any]] = []
        self._asked = 0

    def ask(self, question: str) -> Trajectory:
        """Answer a question with the student's tools."""
        name = f"question-{self._asked}"
        task = Task(name, question, answer=(), toolset="", earlier=tuple(self.messages))
        request = RolloutRequest(task, derive_seed(self.seed, name), None, *self._drawn)
        self._asked += 1
        (trajectory,) = self.environment.rollout([request])
        if trajectory.stop_reason is StopReason.ANSWERED:
            self.messages = list(trajectory.messages)
        return trajectory

    def reset(self) -> None:
        """Forget what was said."""
        self.messages = []
