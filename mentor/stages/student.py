"""A student ready for rollouts: its chat format, its sampler and its tools in one environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mentor.config import ChatStage, Config, ModelConfig, SamplerConfig, ToolsConfig
from mentor.environment import Environment
from mentor.environment.dialogue import Dialogue
from mentor.errors import InputError
from mentor.jsonl import Report
from mentor.policy.model import torch_dtype
from mentor.runs.as_trained import chosen_model
from mentor.stages.chat_format import load_chat
from mentor.stages.checkpoint_model import loadable
from mentor.stages.rollout_engine import open_sampler, rollout_limits
from mentor.stages.tooling import configured_toolbox
from mentor.tools import Toolbox


@contextmanager
def student_environment(
    path: Path | str,
    toolbox: Toolbox,
    model: ModelConfig,
    sampling: SamplerConfig,
    lockstep: bool | None = None,
) -> Iterator[Environment]:
    """Open the environment of the model or checkpoint at `path`; its weights and cache are freed at the end.

    lockstep: of its turns; None: as sampler.deterministic says.
    """
    path = loadable(path)
    chat = load_chat(path, model)
    with (
        open_sampler(
            sampling, path, chat.end_ids, torch_dtype(model.dtype), attention=model.attn_implementation
        ) as sampler,
        Environment(
            sampler, toolbox, chat, rollout_limits(sampling), sampling.deterministic if lockstep is None else lockstep
        ) as environment,
    ):
        yield environment


@contextmanager
def open_dialogue(config: Config, root: Path, report: Report | None = None) -> Iterator[Dialogue]:
    """Open a conversation with the model that a `stage=chat` names. root: of the run.

    Raises InputError for tools that only a task brings, and what loading a model raises.
    """
    stage, tools, loading, sampling = config.stage, config.tools, config.model, config.sampler
    assert isinstance(stage, ChatStage) and isinstance(tools, ToolsConfig)
    assert isinstance(loading, ModelConfig) and isinstance(sampling, SamplerConfig)
    if tools.name == "row":
        raise InputError("`tools=row` are those that each task brings, and a question of yours brings none")
    model = chosen_model(root, stage.model, loading.path)
    with student_environment(model, configured_toolbox(tools, report), loading, sampling) as environment:
        drawn = (sampling.temperature, sampling.top_p, sampling.top_k)
        yield Dialogue(environment, stage.greedy, *drawn, config.seed)
