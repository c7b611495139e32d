"""`stage=check`: whether stage=rl with the same groups can run: its files, tools, reward and memory. Writes nothing.

Works without a GPU, without the network and before any other stage: a hub model that is not on this machine has the
shape that its preset's keys say. What the plan counts and what it estimates is in `mentor.planning.memory`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mentor.config import Config, ModelConfig, RlTrainer, SamplerConfig
from mentor.errors import ConfigError, InputError, RunFolderError, one_line
from mentor.loggers import Logger
from mentor.planning import Device, ModelShape, Workload, cheapest_fit, make_plan
from mentor.planning.table import refusal, table
from mentor.runs import RunFolder, base_model
from mentor.runs.folder import rl_folder
from mentor.stages import StageResult
from mentor.stages.smoke_checks import try_reward, try_teacher, try_tools

if TYPE_CHECKING:  # needs torch, which this stage imports late
    from mentor.chat import ChatFormat

GIB = 2**30
GPU_DEVICE = Path("/dev/nvidiactl")  # without it torch need not be asked for GPUs


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Headline `memory/peak_gib`, of a GPU. Raises ConfigError in one line for a plan that does not fit."""
    model = config.model
    assert isinstance(model, ModelConfig)
    base, shape, lines, chat = look_at_base(config, folder.root)
    lines += [look_at_run(config, folder.root), *try_tools(config), *try_teacher(config)]
    lint, lint_lines = try_reward(config, folder.root, chat)
    workload = make_workload(config, shape, find_device(config))
    plan = make_plan(workload)
    sys.stdout.write(
        "\n".join([f"model {model.name}: {base}", *lines, *lint_lines, summary(workload), "", table(plan), ""])
    )
    if plan.sequences is not None:
        count = f"{plan.sequences:.1f} trajectories of {workload.max_tokens} tokens"
        sys.stdout.write(f"vLLM's cache holds {count} at once\n")
    sys.stdout.flush()
    if workload.max_tokens > shape.max_position_embeddings:
        raise ConfigError(
            f"`sampler.max_tokens={workload.max_tokens}` is more than the model's max_position_embeddings="
            f"{shape.max_position_embeddings}"
        )
    if lint is not None and lint.findings:
        raise ConfigError(
            f"reward: {lint.findings[0].rule.why}, and {len(lint.findings) - 1} more findings that are printed above; "
            "stage.lint_tasks=0 leaves them out"
        )
    if plan.misfits:
        raise ConfigError(refusal(workload, plan.worst, cheapest_fit(workload)))
    sys.stdout.write(f"fits: {plan.peak.name} needs most, {plan.peak.total:.1f} of {plan.peak.available:.1f} GiB\n")
    return StageResult(("memory/peak_gib", plan.peak.total), {"parameters": shape.parameters})


def make_workload(config: Config, shape: ModelShape, device: Device) -> Workload:
    """What of the configuration decides the memory."""
    model, trainer, sampler = config.model, config.trainer, config.sampler
    assert isinstance(model, ModelConfig) and isinstance(trainer, RlTrainer) and isinstance(sampler, SamplerConfig)
    return Workload(
        shape,
        device,
        dtype=model.dtype,
        num_processes=trainer.num_processes,
        zero_stage=trainer.deepspeed.stage,
        offload=trainer.deepspeed.offload and trainer.deepspeed.stage > 0,
        bucket_elements=trainer.deepspeed.bucket_elements,
        lora_rank=trainer.lora.rank,
        kl=trainer.kl_coef > 0,
        optimizer=trainer.optimizer,
        gradient_checkpointing=trainer.gradient_checkpointing,
        micro_batch_tokens=trainer.micro_batch_tokens,
        packing=trainer.packing,
        max_tokens=sampler.max_tokens,
        max_turn_tokens=sampler.max_turn_tokens,
        sampler=sampler.name,
        max_running=sampler.max_running,
        placement=sampler.placement,
        tensor_parallel=sampler.tensor_parallel,
        gpu_memory_share=sampler.gpu_memory_share,
        kv_cache_gib=sampler.kv_cache_gib,
    )


def summary(workload: Workload) -> str:
    trained = f"adapters of rank {workload.lora_rank}" if workload.lora_rank else "all parameters"
    spread = f"ZeRO {workload.zero_stage}" if workload.zero_stage else "plain torch"
    offload = " with offload" if workload.offload else ""
    engine = f"{workload.sampler} {workload.placement}" if workload.sampler == "vllm" else workload.sampler
    return (
        f"training {trained} of {workload.shape.parameters:,} with {spread}{offload}, "
        f"processes: {workload.num_processes}, tokens of a forward: {workload.tokens}, sampler: {engine}"
    )


# --- files -----------------------------------------------------------------------------------------------------------


def look_at_base(config: Config, root: Path) -> tuple[str, ModelShape, list[str], ChatFormat | None]:
    """What rl starts from, its shape, what there is to say of it, and its format where it is here.

    Raises InputError for an unusable folder.
    """
    model = config.model
    assert isinstance(model, ModelConfig)
    try:
        base = base_model(config, root)
    except RunFolderError as error:
        return "made by an earlier stage", shape_of_keys(model), [f"base: not there yet, {error}"], None
    if isinstance(base, Path):
        from mentor.stages.chat_format import load_chat

        shape = shape_of_folder(base)
        chat = load_chat(base, model)
        said = f"base: config.json, tokenizer and chat template can be used; calls in the {chat.syntax.name} syntax"
        return str(base), shape, [said], chat
    cached = cached_folder(base)
    if cached is None:
        said = "base: not on this machine; its shape is what the keys of model= say"
        return base, shape_of_keys(model), [said], None
    return base, shape_of_folder(cached), [f"base: its shape is that of {cached / 'config.json'}"], None


def shape_of_keys(model: ModelConfig) -> ModelShape:
    return ModelShape(
        model.vocab_size,
        model.hidden_size,
        model.intermediate_size,
        model.num_hidden_layers,
        model.num_attention_heads,
        model.num_key_value_heads,
        model.max_position_embeddings,
        model.head_dim,
        model.tie_word_embeddings,
    )


def shape_of_folder(folder: Path) -> ModelShape:
    """Of a config.json, with what transformers takes for keys it lacks."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    try:
        return ModelShape.from_values(AutoConfig.from_pretrained(str(folder)).to_dict())
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        reason = one_line(error)
        raise InputError(f"{folder / 'config.json'} has a shape that cannot be planned: {reason}") from error


def cached_folder(name: str) -> Path | None:
    """Where the hub's cache on this machine holds a model's config.json. Asks no network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def look_at_run(config: Config, root: Path) -> str:
    """The teacher's trajectories, and where rl would write."""
    stored, own = root / "rollout" / "trajectories.jsonl", root / rl_folder(config)
    teacher = f"teacher: {stored}" if stored.is_file() else "teacher: no trajectories yet, run `mentor stage=rollout`"
    return f"{teacher}; stage=rl writes {own}{', which is there already' if own.is_dir() else ''}"


# --- hardware --------------------------------------------------------------------------------------------------------


def find_device(config: Config) -> Device:
    """launcher.device_memory_gib, else the first GPU, else a process's share of the machine's memory.

    The machine's own memory is judged where there is a GPU: without one it is not the machine that will run.
    """
    trainer, given = config.trainer, config.launcher.device_memory_gib
    assert isinstance(trainer, RlTrainer)
    found = gpu_gib()
    if given is None and found is None:
        return Device(machine_gib() / trainer.num_processes, is_gpu=False)
    return Device(given or found or 0.0, host_gib=machine_gib() if found else None)


def gpu_gib() -> float | None:
    if not GPU_DEVICE.exists():
        return None
    import torch

    return torch.cuda.get_device_properties(0).total_memory / GIB if torch.cuda.is_available() else None


def machine_gib() -> float:
    """Of the machine, or of the container this process is in."""
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return (min(size, int(text)) if text.isdigit() else size) / GIB
