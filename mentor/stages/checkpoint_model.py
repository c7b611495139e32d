"""A checkpoint as a model: `model/` (and `adapter/`) inside of it, as the stage writes them at its end.

They are written when they are first asked for, and go with the checkpoint when training drops it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from mentor.cards import write_cards
from mentor.config import DeepSpeedConfig, ModelConfig, ScaledTrainer, TrainerConfig, load
from mentor.errors import RunFolderError
from mentor.lock import FolderLock
from mentor.policy.ranks import Ranks
from mentor.policy.state import read_meta
from mentor.runs import RunFolder
from mentor.runs.folder import stored_config
from mentor.runs.model_folders import as_checkpoint, stage_of
from mentor.stages.chat_format import load_chat
from mentor.stages.training import build_policy, load_student, save_student


def loadable(model: Path | str) -> Path | str:
    """Return the folder that holds the weights: of a checkpoint its `model/`, which is written where it is not there.

    Raises RunFolderError where the checkpoint does not say what it was trained from, or is being written from.
    """
    checkpoint = as_checkpoint(model) if isinstance(model, Path) else None
    if checkpoint is not None and (checkpoint / "model" / "config.json").is_file():
        return checkpoint / "model"
    with held(model) as folder:
        return folder


@contextmanager
def held(model: Path | str) -> Iterator[Path | str]:
    """Yield the folder that holds the weights (`loadable`), and keep training from dropping the checkpoint meanwhile.

    Raises as `loadable`, also where another process holds the checkpoint.
    """
    checkpoint = as_checkpoint(model) if isinstance(model, Path) else None
    if checkpoint is None:
        yield model
        return
    with FolderLock(checkpoint, make=False):
        if not (checkpoint / "model" / "config.json").is_file():
            with torch.random.fork_rng(devices=[]):  # adapters are drawn before they are set
                write_model(checkpoint)
        yield checkpoint / "model"


def write_model(checkpoint: Path) -> None:
    """Write `model/` of a checkpoint, on the CPU: its weights in the base that it was trained from."""
    stage = stage_of(checkpoint)
    stored = stored_config(stage)
    if stored is None:
        raise RunFolderError(f"{stage} has no config.yaml, so {checkpoint} is of no stage")
    config = load(stored)
    model, trainer = config.model, config.trainer
    assert isinstance(model, ModelConfig) and isinstance(trainer, TrainerConfig)
    base = _base(checkpoint, stage)
    chat = load_chat(base, model)
    loading = trainer if isinstance(trainer, ScaledTrainer) else ScaledTrainer()
    student = load_student(base, model, loading, on_cpu=True)
    here = replace(loading, deepspeed=DeepSpeedConfig())  # a checkpoint is the same whatever engine wrote it
    policy = build_policy(student, chat, model, here, optimizer_steps=0)
    policy.load_weights(checkpoint)
    save_student(policy, chat, RunFolder(checkpoint, stage.parent), Ranks())
    write_cards(checkpoint / "model")


def _base(checkpoint: Path, stage: Path) -> Path | str:
    """The model whose shape and tokenizer a checkpoint has: its base, or what the stage made from scratch."""
    base = read_meta(checkpoint).get("base")
    if base is None:
        raise RunFolderError(
            f"{checkpoint} is of an earlier version and does not say what it was trained from: the next one of a "
            "resumed stage does"
        )
    if base:
        return Path(base) if Path(base).is_dir() else str(base)
    made = stage / "model"
    if not made.is_dir():
        raise RunFolderError(f"{made} is missing, whose tokenizer {checkpoint} needs: run the stage again, it resumes")
    return made
