"""The teacher that the `teacher` group describes, for the stages that use one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

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


def _endpoint(config: Config) -> Teacher:
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
    model = ModelConfig(
        name="teacher",
        dtype=settings.dtype,
        chat_template=settings.chat_template,
        question_template=settings.question_template,
        enable_thinking=settings.enable_thinking,
        think_history=settings.think_history,
    )
    opens = partial(student_environment, settings.path, model=model, sampling=settings.sampler)
    return InProcessTeacher(settings, config.seed, opens)


def _recorded(config: Config) -> Teacher:
    assert isinstance(config.teacher, TracesTeacher)
    return RecordedTeacher(config.teacher.reexecute, config.teacher.min_reward)


BUILDERS: dict[str, Callable[[Config], Teacher]] = {
    "oracle": _worked,
    "annotated": _worked,
    "openai": _endpoint,
    "model": _in_process,
    "traces": _recorded,
}
"""How each teacher is built, by `teacher.name`."""
