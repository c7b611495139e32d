"""Questions one after the other: each is answered as in a rollout, with all that was said before in its prompt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from mentor.chat import ChatFormat
from mentor.environment.environment import Environment
from mentor.environment.requests import RolloutRequest, derive_seed
from mentor.errors import MentorError
from mentor.types import StopReason, Task, Trajectory


class NoAnswer(MentorError):
    """A question that got no answer. The next one may get one."""


class Dialogue(ABC):
    """A conversation with a model and its tools.

    chat: the format of its tokens; None where trajectories have none. messages: what was said so far, in the OpenAI
    shape. An exchange that ended without an answer is not part of it: the student never saw one in its prompt.
    """

    chat: ChatFormat | None = None

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._asked = 0

    def ask(self, question: str) -> Trajectory:
        """Answer a question with the model's tools. Raises NoAnswer where there is not even a part of one."""
        task = Task(f"question-{self._asked}", question, answer=(), toolset="", earlier=tuple(self.messages))
        number, self._asked = self._asked, self._asked + 1
        trajectory = self.solve(task, number)
        if trajectory.stop_reason is StopReason.ANSWERED:
            self.messages = list(trajectory.messages)
        return trajectory

    @abstractmethod
    def solve(self, task: Task, number: int) -> Trajectory:
        """Answer the question of a task. number: of the question, from 0, whatever was forgotten."""

    def reset(self) -> None:
        """Forget what was said."""
        self.messages = []


class RolloutDialogue(Dialogue):
    """A conversation with the model of an open environment.

    greedy: decode greedily; else at the temperature, top_p and top_k given, every question with its own seed.
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
        super().__init__()
        self.environment, self.chat, self.seed = environment, environment.chat, seed
        self._drawn = (0.0, 1.0, None) if greedy else (temperature, top_p, top_k)

    def solve(self, task: Task, number: int) -> Trajectory:
        request = RolloutRequest(task, derive_seed(self.seed, task.id), None, *self._drawn)
        (trajectory,) = self.environment.rollout([request])
        return trajectory
