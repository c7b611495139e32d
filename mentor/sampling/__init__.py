"""Samplers: token ids in, sampled token ids and logprobs out."""

import torch
from transformers import PreTrainedModel

from mentor.sampling.base import Completion, Sampler, SamplingParams
from mentor.sampling.hf_sampler import TransformersSampler


def build_sampler(
    name: str, model: PreTrainedModel, eos_id: int, max_running: int, dtype: torch.dtype = torch.float32
) -> Sampler:
    """The engine of that name around a model (for `transformers` the policy's own, so weights are never copied)."""
    if name == "transformers":
        return TransformersSampler(model, eos_id, max_running, dtype)
    raise ValueError(f"sampler.name={name}, accepted: transformers")


__all__ = ["Completion", "Sampler", "SamplingParams", "TransformersSampler", "build_sampler"]
