"""The teacher that the `teacher` group describes, for the stages that use one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mentor.config import (
    Config,
    ModelConfig,
    ModelTeacher,
    OpenaiTeacher,
    TaskConfig,
    TeacherConfig,
    TracesTeacher,
    WorkedTeacher,
)
from mentor.errors import StageError
from mentor.rewards.answer_formats import answer_format
from mentor.teachers import Teacher, build_teacher
from mentor.teachers.recorded import RecordedTeacher

if TYPE_CHECKING:  # needs the package openai
    from mentor.teachers.openai import EndpointTeacher


def configured_teacher(config: Config) -> Teacher:
    """Build the teacher of a stage; nothing is opened yet. Raises StageError where a package it needs is missing."""
    assert config.teacher is not None
    return BUILDERS[config.teacher.name](config)


def prompted(teacher: TeacherConfig | None) -> dict[str, str | None]:
    """Return by key the texts that a teacher is sent with every question."""
    if isinstance(teacher, OpenaiTeacher):
        return {"teacher.instruction": teacher.instruction}
    return {"teacher.question_template": teacher.question_template} if isinstance(teacher, ModelTeacher) else {}


def _worked(config: Config) -> Teacher:
    settings = config.teacher
    assert isinstance(settings, WorkedTeacher)
    return build_teacher(settings.name, settings.alternative_share, config.seed)


def endpoint_teacher(config: Config) -> EndpointTeacher:
    """Build the teacher behind an endpoint. Raises StageError where a package it needs is missing."""
    assert isinstance(config.teacher, OpenaiTeacher)
    try:
        from mentor.teachers.openai import EndpointTeacher
    except ModuleNotFoundError as error:
        if error.name not in ("openai", "tenacity"):
            raise
        raise StageError(f"teacher=openai needs the package {error.name}: pip install 'mentor[openai]'") from error
    form = answer_format((config.task or TaskConfig()).answer_format)
    instruction = (config.teacher.instruction or "").replace("{answer_format}", form.request)
    return EndpointTeacher(replace(config.teacher, instruction=instruction or None))


def _in_process(config: Config) -> Teacher:
    from mentor.stages.student import student_environment
    from mentor.teachers.in_process import InProcessTeacher

    settings = config.teacher
    assert isinstance(settings, ModelTeacher) and settings.path is not None
    opens = partial(student_environment, settings.path, model=loading_of(settings), sampling=settings.sampler)
    return InProcessTeacher(settings, config.seed, opens)


def loading_of(teacher: ModelTeacher) -> ModelConfig:
    """Say how a teacher in this process is loaded, as a student is."""
    return ModelConfig(
        name="teacher",
        dtype=teacher.dtype,
        chat_template=teacher.chat_template,
        question_template=teacher.question_template,
        enable_thinking=teacher.enable_thinking,
        think_history=teacher.think_history,
    )


def _recorded(config: Config) -> Teacher:
    assert isinstance(config.teacher, TracesTeacher)
    return RecordedTeacher(config.teacher.reexecute, config.teacher.min_reward)


BUILDERS: dict[str, Callable[[Config], Teacher]] = {
    "oracle": _worked,
    "annotated": _worked,
    "openai": endpoint_teacher,
    "model": _in_process,
    "traces": _recorded,
}
"""How each teacher is built, by `teacher.name`."""
