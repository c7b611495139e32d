"""Use a student or teacher of a run from Python: `mentor.load("default").ask("What is 12 * 7?")`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir

from mentor.compose import COMPOSE_ERRORS, compose_stage, explain, given_stage, parse, register_schemas
from mentor.conf_dir import conf_dir
from mentor.config import Config
from mentor.errors import ConfigError
from mentor.readers import refuse
from mentor.runs.as_trained import use_trained
from mentor.runs.folder import run_root
from mentor.runs.run_teacher import split_teacher_keys, talks_to_teacher, with_run_teacher
from mentor.stages.chat_partner import open_dialogue
from mentor.types import StopReason, Trajectory

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """text: of the last turn, None where a limit ended it before an answer. trajectory: all that led to it."""

    text: str | None
    trajectory: Trajectory

    @property
    def calls(self) -> list[tuple[str | None, Any, str]]:
        """(tool, arguments, the result that the student was shown) of each call, in order."""
        own = self.trajectory.messages[len(self.trajectory.task.prompt) :]
        shown = [message["content"] for message in own if message["role"] == "tool"]
        records = self.trajectory.calls[: len(shown)]
        return [(call.name, call.arguments, text) for call, text in zip(records, shown, strict=True)]


class Student:
    """A model with its tools, chat format and limits, as `stage=chat` opens them; a context manager.

    It lives in a thread of its own, so that it also answers where an event loop runs, as in a notebook. One question is
    answered at a time.
    """

    def __init__(self, config: Config) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="student")
        self._open = ExitStack()
        try:
            self._dialogue = self._do(lambda: self._open.enter_context(open_dialogue(config, run_root(config))))
        except BaseException:
            self._thread.shutdown()
            raise

    def ask(self, question: str, follow_up: bool = False) -> Answer:
        """Answer a question, with its tools. follow_up: what was asked and answered before is in its prompt.

        Raises NoAnswer where a teacher's endpoint gives none.
        """
        if not follow_up:
            self._dialogue.reset()
        trajectory = self._do(lambda: self._dialogue.ask(question))
        answered = trajectory.stop_reason is StopReason.ANSWERED
        return Answer(trajectory.messages[-1]["content"] if answered else None, trajectory)

    def close(self) -> None:
        """Free the model, and end the tools' workers."""
        self._do(self._open.close)
        self._thread.shutdown()

    def __enter__(self) -> Student:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _do(self, work: Callable[[], T]) -> T:
        return self._thread.submit(work).result()


def load(run: str = "default", model: str | None = None, *overrides: str) -> Student:
    """Open a model of a run, as `mentor stage=chat run=RUN stage.model=MODEL OVERRIDES...` does.

    model: the folder in the run of the stage that made it, such as `rl-flexible-s0`; `teacher`: the teacher of the
    run's rollout; None: the run's last model.
    overrides: as on the command line, such as `paths.outputs=/data/outputs` or `sampler=vllm`. Raises MentorError.
    """
    named = [f"stage.model={model}"] if model is not None else []
    lines = ["stage=chat", f"run={run}", *named, *overrides]
    parsed = parse(lines)
    register_schemas()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            first, _ = split_teacher_keys(parsed, given_stage(parsed))
            cfg = compose("config", overrides=[str(entry.input_line) for entry in first])
            if talks_to_teacher(cfg):
                cfg = with_run_teacher(cfg, parsed)
            else:
                use_trained(cfg, parsed)
            composed = compose_stage(cfg, parsed)
    except COMPOSE_ERRORS as error:
        raise ConfigError(explain(error)) from None
    refuse(composed.verdicts)
    return Student(composed.config)
