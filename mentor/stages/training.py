"""What the training stages share: seeds, a policy from a trainer's settings, the supervised run of pretrain and sft."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel

from mentor.chat import ChatFormat
from mentor.config import DeepSpeedConfig, ModelConfig, ScaledTrainer, SupervisedTrainer, TrainerConfig
from mentor.loggers import Logger
from mentor.planning.workload import UNTIMED_TOKENS
from mentor.policy import OptimizerSettings, Policy, TorchEngine, nf4
from mentor.policy.checkpoint import save_folder
from mentor.policy.control import ControlSettings, Evaluate, TrainingControl
from mentor.policy.interface import Engine
from mentor.policy.lora import add_adapters
from mentor.policy.model import freeze_all_but_text, load_model, torch_dtype
from mentor.policy.ranks import Ranks
from mentor.policy.supervised import SupervisedPhase, train_supervised
from mentor.runs import RunFolder
from mentor.stages.chat_format import save_certificate


def seed_everything(seed: int) -> None:
    """Seed this process's generators, so that a checkpoint, which holds them, depends on the seed alone."""
    random.seed(seed)
    torch.manual_seed(seed)


def load_student(
    base: Path | str, model: ModelConfig, trainer: ScaledTrainer, frozen: bool = False, on_cpu: bool = False
) -> PreTrainedModel:
    """Load the base as its trainer wants it: type and device of its weights, adapters, activation checkpointing.

    Plain torch trains float32 weights; under DeepSpeed they have the model's type, and in stage 3 stay on the CPU until
    they are partitioned. frozen: a reference model, of which nothing is trained. on_cpu: its weights stay there.
    """
    zero = trainer.deepspeed.stage
    student = load_model(
        base,
        torch_dtype(model.dtype) if zero else torch.float32,
        torch.device("cpu") if zero == 3 or on_cpu else None,
        model.attn_implementation,
        nf4.quantization(torch_dtype(model.dtype)) if trainer.lora.quantize == "nf4" else None,
    )
    if frozen:
        student.requires_grad_(False)
        return student
    freeze_all_but_text(student)
    if trainer.lora.rank:
        add_adapters(student, trainer.lora.rank, trainer.lora.alpha)
    if trainer.gradient_checkpointing:
        student.gradient_checkpointing_enable({"use_reentrant": False})
    return student


def build_policy(
    student: PreTrainedModel,
    chat: ChatFormat,
    model: ModelConfig,
    trainer: TrainerConfig,
    optimizer_steps: int,
    temperature: float = 1.0,
    ranks: Ranks | None = None,
    offload: bool = False,
) -> Policy:
    """Build a policy on the engine its trainer asks for.

    optimizer_steps: of the whole stage, at whose end a linear schedule reaches zero. offload: what ZeRO stage 3
    partitions is kept in the CPU's memory, also where the trainer does not say so.
    """
    settings = OptimizerSettings(
        name=trainer.optimizer,
        learning_rate=trainer.learning_rate,
        weight_decay=trainer.weight_decay,
        betas=(trainer.betas[0], trainer.betas[1]),
        eps=trainer.eps,
        max_grad_norm=trainer.max_grad_norm,
        warmup_steps=trainer.warmup_steps,
        schedule=trainer.schedule,
        decay_share=trainer.decay_share,
        total_steps=optimizer_steps,
    )
    dtype = torch_dtype(model.dtype)
    zero = trainer.deepspeed if isinstance(trainer, ScaledTrainer) else DeepSpeedConfig()
    frozen = not any(parameter.requires_grad for parameter in student.parameters())
    engine: Engine
    if zero.stage == 0 or (frozen and zero.stage < 3):  # a reference model is partitioned in stage 3 alone
        engine = TorchEngine(student, settings, dtype, temperature, ranks)
    else:
        from mentor.policy.deepspeed_engine import DeepSpeedEngine

        engine = DeepSpeedEngine(
            student,
            settings,
            dtype,
            temperature,
            ranks=ranks or Ranks(),
            stage=zero.stage,
            offload=zero.offload or offload,
            bucket_elements=zero.bucket_elements,
        )
    tokens = trainer.micro_batch_tokens
    size = tokens if isinstance(tokens, int) else UNTIMED_TOKENS[engine.device.type]
    return Policy(engine, chat.tokenizer, settings, size, trainer.packing, ranks, trainer.share_prefixes)


def say_padding(policy: Policy, trainer: TrainerConfig, logger: Logger) -> None:
    """Say where `trainer.packing` is asked for and the policy pads."""
    if trainer.packing and not policy.packing:
        logger.message("trainer.packing=true: layers of this model would mix packed sequences, so they are padded")


def control_settings(trainer: TrainerConfig, benchmarks: Iterable[str] = ()) -> ControlSettings:
    """Read from a trainer when its stage saves, evaluates and ends. benchmarks: those it evaluates, by name."""
    if not isinstance(trainer, ScaledTrainer):
        return ControlSettings(trainer.steps, trainer.save_every)
    first = next(iter(benchmarks), None)
    compares = trainer.keep == "best" or trainer.patience is not None
    return ControlSettings(
        trainer.steps,
        trainer.save_every,
        trainer.eval_every,
        trainer.keep,
        (trainer.best_metric or f"eval/{first}/accuracy") if compares else None,
        trainer.best_mode == "min",
        trainer.patience,
        None if trainer.max_hours is None else trainer.max_hours * 3600,
    )


def train_and_save(
    policy: Policy,
    chat: ChatFormat,
    phases: Sequence[SupervisedPhase],
    trainer: SupervisedTrainer,
    seed: int,
    folder: RunFolder,
    logger: Logger,
    control: TrainingControl,
    evaluate: Evaluate | None = None,
) -> dict[str, float]:
    """Train on the loss masks of the phases' records and write `model/`; return the totals for the summary.

    control: resumed.
    """
    say_padding(policy, trainer, logger)
    totals = train_supervised(
        policy,
        phases,
        control,
        batch_tokens=trainer.batch_tokens,
        seed=seed,
        pad_id=chat.pad_id,
        logger=logger,
        evaluate=evaluate,
    )
    control.load_model()
    save_student(policy, chat, folder, policy.ranks)
    return totals


def save_student(policy: Policy, chat: ChatFormat, folder: RunFolder, ranks: Ranks) -> None:
    """Write `model/`, whole: the weights, the tokenizer and the certificate of the chat format.

    Its generation_config.json names every token that stopped sampling here, so that others stop there too.
    A policy with adapters first writes them alone into `adapter/`, as peft does.
    """
    first, *more = chat.end_ids
    policy.model.generation_config.eos_token_id = [first, *more] if more else first

    def write(target: Path | None) -> None:
        policy.save_model(target)
        if target is not None:
            save_certificate(target, chat)

    if policy.has_adapters:
        save_folder(folder.path / "adapter", policy.save_adapter, ranks)
    save_folder(folder.path / "model", write, ranks)
