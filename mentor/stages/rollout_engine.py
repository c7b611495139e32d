"""The rollout engine and the limits of a rollout, from the settings of `sampler`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import PreTrainedModel

from mentor.config import SamplerConfig
from mentor.environment import RolloutLimits
from mentor.policy.lora import adapter_shape
from mentor.policy.ranks import Ranks
from mentor.sampling import Sampler, build_sampler


@contextmanager
def open_sampler(
    settings: SamplerConfig,
    path: Path | str,
    end_ids: Collection[int],
    dtype: torch.dtype,
    model: PreTrainedModel | None = None,
    ranks: Ranks | None = None,
    attention: str | None = None,
) -> Iterator[Sampler]:
    """Open the sampler of the settings; close it and free its memory at the end.

    model: the policy's, which the embedded sampler shares in the policy's process. Any other sampler loads the weights
    at `path`, so the policy's have to be pushed to it, or its adapters alone. ranks: of the policy, None where none is
    trained; every rank opens a sampler at the same time. attention: of a model that the embedded sampler loads.
    """
    shares = settings.name == "transformers" and settings.placement == "colocated"
    rank, layers = (model is not None and adapter_shape(model)) or (0, ())
    sampler = build_sampler(
        settings.name,
        model if model is not None and shares else path,
        end_ids,
        settings.max_running,
        dtype,
        settings.max_tokens,
        attention=attention,
        placement=settings.placement,
        engines=settings.engines,
        tensor_parallel=settings.tensor_parallel,
        gpu_memory_share=settings.gpu_memory_share,
        kv_cache_gib=settings.kv_cache_gib,
        ranks=ranks,
        lora_rank=rank,
        lora_layers=layers,
    )
    try:
        yield sampler
    finally:
        sampler.close()


def rollout_limits(sampling: SamplerConfig) -> RolloutLimits:
    """Read the limits of one trajectory from the settings."""
    return RolloutLimits(
        sampling.max_turns,
        sampling.max_turn_tokens,
        sampling.max_tokens,
        sampling.max_invalid_turns,
        sampling.max_result_tokens,
        sampling.max_thinking_tokens,
    )
