"""A student ready for rollouts: its chat format, its sampler and its tools in one environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mentor.config import ModelConfig, SamplerConfig
from mentor.environment import Environment
from mentor.policy.model import torch_dtype
from mentor.stages.chat_format import load_chat
from mentor.stages.rollout_engine import open_sampler, rollout_limits
from mentor.tools import Toolbox


@contextmanager
def student_environment(
    path: Path | str, toolbox: Toolbox, model: ModelConfig, sampling: SamplerConfig
) -> Iterator[Environment]:
    """Open the environment of the model at `path`; its weights and cache are freed at the end."""
    chat = load_chat(path, model)
    with (
        open_sampler(
            sampling, path, chat.end_ids, torch_dtype(model.dtype), attention=model.attn_implementation
        ) as sampler,
        Environment(sampler, toolbox, chat, rollout_limits(sampling), sampling.deterministic) as environment,
    ):
        yield environment
