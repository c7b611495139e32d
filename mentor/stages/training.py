"""What the training stages share: seeds, a policy from a trainer's settings, the supervised run of pretrain and sft."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from mentor.chat import ChatFormat
from mentor.config import ModelConfig, SupervisedTrainer, TrainerConfig
from mentor.loggers import Logger
from mentor.policy import OptimizerSettings, TorchPolicy
from mentor.policy.checkpoint import write_whole
from mentor.policy.model import torch_dtype
from mentor.policy.supervised import train_supervised
from mentor.runs import RunFolder
from mentor.types import Tokens


def seed_everything(seed: int) -> None:
    """The process's own generators, so that a checkpoint, which holds them, depends on the seed alone."""
    random.seed(seed)
    torch.manual_seed(seed)


def build_policy(
    student: PreTrainedModel,
    chat: ChatFormat,
    model: ModelConfig,
    trainer: TrainerConfig,
    optimizer_steps: int,
    temperature: float = 1.0,
) -> TorchPolicy:
    """`optimizer_steps`: of the whole stage, at whose end a linear schedule reaches zero."""
    settings = OptimizerSettings(
        name=trainer.optimizer,
        learning_rate=trainer.learning_rate,
        weight_decay=trainer.weight_decay,
        max_grad_norm=trainer.max_grad_norm,
        warmup_steps=trainer.warmup_steps,
        schedule=trainer.schedule,
        total_steps=optimizer_steps,
    )
    dtype = torch_dtype(model.dtype)
    return TorchPolicy(student, chat.tokenizer, settings, trainer.micro_batch_tokens, dtype, temperature)


def train_and_save(
    student: PreTrainedModel,
    chat: ChatFormat,
    records: Sequence[Tokens],
    model: ModelConfig,
    trainer: SupervisedTrainer,
    seed: int,
    folder: RunFolder,
    logger: Logger,
) -> dict[str, float]:
    """Train on the records' loss masks and leave `model/` in the folder; returns the totals for the summary."""
    policy = build_policy(student, chat, model, trainer, trainer.steps)
    totals = train_supervised(
        policy,
        records,
        steps=trainer.steps,
        batch_tokens=trainer.batch_tokens,
        save_every=trainer.save_every,
        seed=seed,
        pad_id=chat.pad_id,
        folder=folder.path,
        logger=logger,
    )
    write_whole(folder.path / "model", policy.save_model)
    return totals
