"""Rollout engines (samplers): token ids in, sampled token ids and logprobs out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel

from mentor.policy.ranks import Ranks
from mentor.sampling.sampler import Completion, Sampler, SamplingParams
from mentor.sampling.transformers_sampler import TransformersSampler
from mentor.sampling.weight_push import Canary, push_weights


def build_sampler(
    name: str,
    source: PreTrainedModel | Path | str,
    end_ids: Collection[int],
    max_running: int = 256,
    dtype: torch.dtype = torch.float32,
    max_tokens: int = 1024,
    *,
    attention: str | None = None,
    placement: str = "colocated",
    engines: int | None = None,
    tensor_parallel: int = 1,
    gpu_memory_share: float | None = None,
    kv_cache_gib: float = 1.0,
    ranks: Ranks | None = None,
    lora_rank: int = 0,
    lora_layers: tuple[str, ...] = (),
) -> Sampler:
    """Build the sampler of that name.

    source: the policy's model, which `transformers` then shares with it, or a folder or hub name to load; vLLM always
    loads. end_ids: the tokens that end a turn. ranks: of the policy, each of which builds its sampler at the same time;
    None where none is trained. With placement=separate a machine has `engines` (see `engine_count`), each on
    `tensor_parallel` GPUs after those of its ranks. attention: of a model that `transformers` loads. lora_rank: of a
    policy's adapters, which are then all that is pushed; 0 without. lora_layers: last names of the layers that have
    one. The keyword arguments but `attention` are for vLLM alone. Raises ValueError for another name.
    """
    if name == "transformers":
        if isinstance(source, PreTrainedModel):
            return TransformersSampler(source, end_ids, max_running, dtype, max_tokens, shared=True)
        from mentor.policy.model import load_model

        return TransformersSampler(load_model(source, attention=attention), end_ids, max_running, dtype, max_tokens)
    if name == "vllm":
        from mentor.sampling.engine_group import engine_count, open_group
        from mentor.sampling.vllm_engine import VllmSettings
        from mentor.sampling.vllm_sampler import VllmSampler

        if isinstance(source, PreTrainedModel):
            raise ValueError("vLLM loads its model itself: source is a folder or hub name")
        settings = VllmSettings(
            model=str(source),
            dtype=dtype,
            max_running=max_running,
            max_tokens=max_tokens,
            separate=placement == "separate",
            tensor_parallel=tensor_parallel,
            gpu_memory_share=gpu_memory_share,
            kv_cache_gib=kv_cache_gib,
            lora_rank=lora_rank,
            lora_layers=lora_layers,
        )
        if placement != "separate":
            return VllmSampler(settings, end_ids)
        trained, ranks = 0 if ranks is None else ranks.local_size, ranks or Ranks()
        count = engine_count(engines, tensor_parallel, trained)
        first_gpus = [trained + index * tensor_parallel for index in range(ranks.local_rank, count, ranks.local_size)]
        return open_group(
            [replace(settings, first_gpu=gpu) for gpu in first_gpus], end_ids, dtype, ranks, lora_rank > 0
        )
    raise ValueError(f"sampler.name={name}, accepted: transformers, vllm")


__all__ = [
    "Canary",
    "Completion",
    "Sampler",
    "SamplingParams",
    "TransformersSampler",
    "build_sampler",
    "push_weights",
]
