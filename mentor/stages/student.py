"""A student ready for rollouts, stored or in training: its chat format, sampler and tools in one environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mentor.chat import ChatFormat
from mentor.config import Config, ModelConfig, SamplerConfig
from mentor.environment import Environment
from mentor.policy import Policy
from mentor.policy.model import torch_dtype
from mentor.policy.ranks import Ranks
from mentor.stages.chat_format import load_chat
from mentor.stages.check_workload import planned_share
from mentor.stages.checkpoint_model import loadable
from mentor.stages.rollout_engine import open_sampler, rollout_limits
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
def policy_environment(
    config: Config, base: Path | str, chat: ChatFormat, policy: Policy, toolbox: Toolbox, ranks: Ranks
) -> Iterator[Environment]:
    """Open the rollout engine beside the policy, and the tools, for the student's trajectories."""
    sampling = config.sampler
    assert isinstance(sampling, SamplerConfig) and isinstance(config.model, ModelConfig)
    attention = config.model.attn_implementation
    text_config = policy.model.config.get_text_config(decoder=True).to_dict()
    engine = replace(sampling, gpu_memory_share=planned_share(config, text_config))
    with (
        open_sampler(engine, base, chat.end_ids, policy.dtype, policy.model, ranks, attention) as sampler,
        Environment(sampler, toolbox, chat, rollout_limits(sampling), sampling.deterministic) as environment,
    ):
        yield environment
