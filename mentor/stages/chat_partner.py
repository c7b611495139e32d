"""Who answers in `stage=chat`, `stage=serve` and `mentor.load`: a model of the run, or the teacher of its rollout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mentor.config import (
    ChatStage,
    Config,
    ModelConfig,
    ModelTeacher,
    OpenaiTeacher,
    SamplerConfig,
    ServeStage,
    ToolsConfig,
)
from mentor.environment.dialogue import Dialogue, RolloutDialogue
from mentor.errors import InputError
from mentor.jsonl import Report
from mentor.runs.as_trained import chosen_model
from mentor.runs.base_model import usable_model
from mentor.stages.student import student_environment
from mentor.stages.teaching import endpoint_teacher, loading_of
from mentor.stages.tooling import configured_toolbox


@contextmanager
def open_dialogue(config: Config, root: Path, report: Report | None = None) -> Iterator[Dialogue]:
    """Open a conversation with the model, or the teacher, that a `stage=chat` names. root: of the run.

    Raises InputError for tools that only a task brings, and what loading a model or opening an endpoint raises.
    """
    stage, tools = config.stage, config.tools
    assert isinstance(stage, ChatStage) and isinstance(tools, ToolsConfig)
    if tools.name == "row":
        raise InputError("`tools=row` are those that each task brings, and a question of yours brings none")
    toolbox = configured_toolbox(tools, report)
    if isinstance(config.teacher, OpenaiTeacher):
        with endpoint_teacher(config).open_dialogue(toolbox) as dialogue:
            yield dialogue
        return
    model, loading, sampling = answering(config, root)
    with student_environment(model, toolbox, loading, sampling) as environment:
        drawn = (sampling.temperature, sampling.top_p, sampling.top_k)
        yield RolloutDialogue(environment, stage.greedy, *drawn, config.seed)


def answering(config: Config, root: Path) -> tuple[Path | str, ModelConfig, SamplerConfig]:
    """Return the model in this process that answers, how it is loaded, and how it is sampled.

    Raises RunFolderError or InputError where it is not there.
    """
    stage, teacher = config.stage, config.teacher
    assert isinstance(stage, ChatStage | ServeStage)
    if isinstance(teacher, ModelTeacher):
        assert teacher.path is not None
        return usable_model(teacher.path, "teacher.path"), loading_of(teacher), teacher.sampler
    assert isinstance(config.model, ModelConfig) and isinstance(config.sampler, SamplerConfig)
    return chosen_model(root, stage.model, config.model.path), config.model, config.sampler
