"""Rollout engines (samplers): token ids in, sampled token ids and logprobs out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

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

    source: the policy's model, which the embedded sampler then shares, or a folder or hub name to load. end_ids: the
    tokens that end a turn. With placement=separate a machine has `engines` (see `engine_count`) in processes of
    their own, each on `tensor_parallel` GPUs after those of its ranks; they load `source`, as vLLM always does. ranks:
    of the policy, each of which builds its sampler at the same time; None where none is trained. attention: of a model
    that `transformers` loads. lora_rank: of a policy's adapters, which are then all that is pushed; 0 without.
    lora_layers: last names of the layers that have one. Raises ValueError for another name.
    """
    if name not in ("transformers", "vllm"):
        raise ValueError(f"sampler.name={name}, accepted: transformers, vllm")
    loads = name == "vllm" or placement == "separate"
    if loads and isinstance(source, PreTrainedModel):
        raise ValueError(f"sampler.name={name} loads its model itself: source is a folder or hub name")
    if not loads:
        if isinstance(source, PreTrainedModel):
            return TransformersSampler(source, end_ids, max_running, dtype, max_tokens, shared=True)
        from mentor.policy.model import load_model

        return TransformersSampler(load_model(source, attention=attention), end_ids, max_running, dtype, max_tokens)

    from mentor.sampling.engine_group import first_gpus, open_group

    gpus = first_gpus(engines, tensor_parallel, ranks)
    starts: Callable[..., Any]
    if name == "transformers":
        from mentor.sampling.process_sampler import ProcessSettings, start_process

        threads = max(1, torch.get_num_threads() // max(1, len(gpus)))
        settings: Any = ProcessSettings(str(source), dtype, max_running, max_tokens, threads, attention, lora_rank)
        starts, file_dtype = start_process, None
    else:
        from mentor.sampling.vllm_engine import VllmSettings
        from mentor.sampling.vllm_sampler import VllmSampler

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
        starts, file_dtype = VllmSampler, dtype

    own = [partial(starts, replace(settings, first_gpu=gpu), end_ids) for gpu in gpus]
    return open_group(own, dtype, ranks or Ranks(), lora_rank > 0, file_dtype)


__all__ = [
    "Canary",
    "Completion",
    "Sampler",
    "SamplingParams",
    "TransformersSampler",
    "build_sampler",
    "push_weights",
]
