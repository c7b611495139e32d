"""The settings of a run that determine its memory."""

from __future__ import annotations

from dataclasses import dataclass

from mentor.planning.shape import ModelShape

NF4_BYTES = 4.127 / 8  # of a weight in four bits, with its share of the constants (arXiv:2305.14314, section 3)

UNTIMED_TOKENS = {"cpu": 2048, "cuda": 8192}
"""Tokens of a micro-batch with trainer.micro_batch_tokens=auto where nothing is timed: caches of a CPU are small."""


@dataclass(frozen=True)
class Device:
    """gib: memory of one GPU; without a GPU, of a process's part of the machine. host_gib: of the host, None if it is
    unknown and not checked."""

    gib: float
    is_gpu: bool = True
    host_gib: float | None = None


@dataclass(frozen=True)
class TeacherWeights:
    """A teacher of distillation in every process. width: bytes of a weight and of a number in its forward pass."""

    shape: ModelShape
    width: int = 4
    offload: bool = False


@dataclass(frozen=True)
class Workload:
    """The settings of a run that determine its memory; names and units are those of the configuration.

    num_processes: on all nodes together. teacher: None where none is loaded. engines: of a node, with
    placement=separate. gpu_memory_share: None for the largest that fits.
    """

    shape: ModelShape
    device: Device
    dtype: str = "bfloat16"
    num_processes: int = 1
    nodes: int = 1
    zero_stage: int = 0
    offload: bool = False
    bucket_elements: int = 50_000_000
    lora_rank: int = 0
    quantized: bool = False
    kl: bool = False
    reference_offload: bool = False
    teacher: TeacherWeights | None = None
    optimizer: str = "adamw"
    gradient_checkpointing: bool = False
    micro_batch_tokens: int = 8192
    packing: bool = False
    max_tokens: int = 1024
    max_turn_tokens: int = 96
    sampler: str = "transformers"
    max_running: int = 256
    placement: str = "colocated"
    engines: int = 1
    tensor_parallel: int = 1
    gpu_memory_share: float | None = 0.5
    kv_cache_gib: float = 1.0

    @property
    def width(self) -> int:
        """Return the bytes of a number in the forward pass."""
        return 2 if self.dtype == "bfloat16" else 4

    @property
    def local_processes(self) -> int:
        """Count the processes of one node."""
        return self.num_processes // self.nodes

    @property
    def weight_width(self) -> int:
        """Return the bytes of a weight: plain torch trains float32 weights, under autocast if the pass is narrower."""
        return self.width if self.zero_stage else 4

    @property
    def trained(self) -> int:
        """Count the trained parameters."""
        return self.shape.adapters(self.lora_rank) if self.lora_rank else self.shape.parameters

    @property
    def held(self) -> int:
        """Count the parameters of the model and its adapters."""
        return self.shape.parameters + self.shape.adapters(self.lora_rank)

    @property
    def packed(self) -> int:
        """Count the parameters held in four bits."""
        return self.shape.matrices if self.quantized else 0

    @property
    def weight_bytes(self) -> float:
        """Return the bytes of the weights of the model and its adapters."""
        return self.weight_width * (self.held - self.packed) + NF4_BYTES * self.packed

    @property
    def tokens(self) -> int:
        """Return the tokens of the largest forward pass: a trajectory is not divided."""
        return max(self.micro_batch_tokens, self.max_tokens)

    @property
    def has_reference(self) -> bool:
        """Return whether the KL term needs a reference model; with adapters it switches them off instead."""
        return self.kl and not self.lora_rank

    @property
    def cards(self) -> int:
        """Return the GPUs of one vLLM engine."""
        return self.tensor_parallel if self.placement == "separate" else 1

    @property
    def separate_embedded(self) -> bool:
        return self.sampler == "transformers" and self.placement == "separate"

    @property
    def colocated_vllm(self) -> bool:
        return self.sampler == "vllm" and self.placement == "colocated"
