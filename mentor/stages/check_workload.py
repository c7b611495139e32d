"""The input of the memory plan: what a configuration trains and samples, and the device it will run on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mentor.config import Config, DistillConfig, ModelConfig, RlTrainer, SamplerConfig, ScaledTrainer
from mentor.errors import InputError, one_line
from mentor.planning import Device, ModelShape, TeacherWeights, Workload, make_plan
from mentor.planning.workload import UNTIMED_TOKENS
from mentor.runs.base_model import local_or_hub
from mentor.stages.check_base import cached_folder, shape_of_folder

VLLM_BESIDE = ("vllm", "colocated")
GIB = 2**30
GPU_DEVICE = Path("/dev/nvidiactl")  # without it torch need not be asked for GPUs


def make_workload(config: Config, shape: ModelShape, device: Device) -> Workload:
    """Collect what of the configuration decides the memory."""
    model, trainer, sampler = config.model, config.trainer, config.sampler
    assert isinstance(model, ModelConfig) and isinstance(trainer, ScaledTrainer) and isinstance(sampler, SamplerConfig)
    rl = trainer if isinstance(trainer, RlTrainer) else None  # sft has a sampler to evaluate with
    fixed = UNTIMED_TOKENS["cuda" if device.is_gpu else "cpu"]
    return Workload(
        shape,
        device,
        dtype=model.dtype,
        num_processes=trainer.nodes * trainer.num_processes,
        nodes=trainer.nodes,
        zero_stage=trainer.deepspeed.stage,
        offload=trainer.deepspeed.offload and trainer.deepspeed.stage > 0,
        bucket_elements=trainer.deepspeed.bucket_elements,
        lora_rank=trainer.lora.rank,
        quantized=trainer.lora.quantize == "nf4",
        kl=rl is not None and rl.kl_coef > 0,
        reference_offload=rl is not None and rl.reference_offload,
        teacher=_teacher(config),
        optimizer=trainer.optimizer,
        gradient_checkpointing=trainer.gradient_checkpointing,
        micro_batch_tokens=fixed if trainer.micro_batch_tokens == "auto" else int(trainer.micro_batch_tokens),
        packing=trainer.packing,
        max_tokens=sampler.max_tokens,
        max_turn_tokens=sampler.max_turn_tokens,
        sampler=sampler.name,
        max_running=sampler.max_running,
        placement=sampler.placement,
        engines=sampler.engines or trainer.num_processes,
        tensor_parallel=sampler.tensor_parallel,
        gpu_memory_share=sampler.gpu_memory_share,
        kv_cache_gib=sampler.kv_cache_gib,
    )


def _teacher(config: Config) -> TeacherWeights | None:
    """Return the teacher of distillation in this process; None also where it is not on this machine, and so unknown."""
    distill = config.distill
    if not isinstance(distill, DistillConfig) or not distill.coef or distill.teacher.path is None:
        return None
    path = local_or_hub(distill.teacher.path, "distill.teacher.path")
    folder = path if isinstance(path, Path) else cached_folder(path)
    if folder is None:
        return None
    width = 2 if distill.teacher.dtype == "bfloat16" else 4
    return TeacherWeights(shape_of_folder(folder), width, distill.teacher.offload)


def planned_share(config: Config, text_config: Mapping[str, Any]) -> float | None:
    """Return the share of this GPU for a vLLM beside the policy: the one that is asked for, else what the plan leaves.

    text_config: of the policy's model. None where there is no such GPU. Raises InputError for a model that cannot be
    planned.
    """
    sampler, gib = config.sampler, gpu_gib()
    assert isinstance(sampler, SamplerConfig)
    if sampler.gpu_memory_share is not None or gib is None or (sampler.name, sampler.placement) != VLLM_BESIDE:
        return sampler.gpu_memory_share
    try:
        shape = ModelShape.from_values(text_config)
    except ValueError as error:
        raise InputError(
            f"the memory of this model cannot be planned ({one_line(error)}): set sampler.gpu_memory_share"
        ) from error
    return make_plan(make_workload(config, shape, Device(gib))).gpu_memory_share


def summary(workload: Workload) -> str:
    """Describe a workload in one line."""
    trained = f"adapters of rank {workload.lora_rank}" if workload.lora_rank else "all parameters"
    spread = f"ZeRO {workload.zero_stage}" if workload.zero_stage else "plain torch"
    offload = " with offload" if workload.offload else ""
    nodes = f" on {workload.nodes} nodes" if workload.nodes > 1 else ""
    shares = workload.sampler == "transformers" and workload.placement == "colocated"
    engine = workload.sampler if shares else f"{workload.sampler} {workload.placement}"
    if workload.teacher is not None:
        engine += f", teacher: {workload.teacher.shape.parameters:,} parameters"
    return (
        f"training {trained} of {workload.shape.parameters:,} with {spread}{offload}, "
        f"processes: {workload.num_processes}{nodes}, tokens of a forward: {workload.tokens}, sampler: {engine}"
    )


def find_device(config: Config) -> Device:
    """Take launcher.device_memory_gib, else the first GPU, else a rank's share of the machine's memory.

    Host memory is planned only where there is a GPU: a machine without one is not the machine that will train.
    """
    trainer, given = config.trainer, config.launcher.device_memory_gib
    assert isinstance(trainer, RlTrainer)
    found = gpu_gib()
    if given is None and found is None:
        return Device(machine_gib() / trainer.num_processes, is_gpu=False)
    return Device(given or found or 0.0, host_gib=machine_gib() if found else None)


def gpu_gib() -> float | None:
    """Return the memory of the first GPU, None where there is none."""
    if not GPU_DEVICE.exists():
        return None
    import torch

    return torch.cuda.get_device_properties(0).total_memory / GIB if torch.cuda.is_available() else None


def machine_gib() -> float:
    """Return the memory of the machine, or of the container that this process is in."""
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return (min(size, int(text)) if text.isdigit() else size) / GIB
