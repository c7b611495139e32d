"""Rollout engines (samplers): token ids in, sampled token ids and logprobs out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from transformers import PreTrainedModel

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
    tensor_parallel: int = 1,
    gpu_memory_share: float = 0.5,
    kv_cache_gib: float = 1.0,
    local_rank: int = 0,
    local_size: int = 1,
    lora_rank: int = 0,
    lora_layers: tuple[str, ...] = (),
) -> Sampler:
    """Build the sampler of that name.

    source: the policy's model, which `transformers` then shares with it, or a folder or hub name to load; vLLM always
    loads. end_ids: the tokens that end a turn. local_rank, local_size: of the policy's ranks on this machine, which use
    its first GPUs; with placement=separate each engine uses `tensor_parallel` of the GPUs after them. attention: of a
    model that `transformers` loads. lora_rank: of a policy's adapters, which are then all that is pushed; 0 without.
    lora_layers: last names of the layers that have one. The keyword arguments but `attention` are for vLLM alone.
    Raises ValueError for another name.
    """
    if name == "transformers":
        if isinstance(source, PreTrainedModel):
            return TransformersSampler(source, end_ids, max_running, dtype, max_tokens, shared=True)
        from mentor.policy.model import load_model

        return TransformersSampler(load_model(source, attention=attention), end_ids, max_running, dtype, max_tokens)
    if name == "vllm":
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
            first_gpu=local_size + local_rank * tensor_parallel,
            gpu_memory_share=gpu_memory_share,
            kv_cache_gib=kv_cache_gib,
            lora_rank=lora_rank,
            lora_layers=lora_layers,
        )
        return VllmSampler(settings, end_ids)
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
