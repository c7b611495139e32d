"""Find and check the model folder that sft and rl start from. Loads nothing, so that the parent can check it too."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mentor.config import Config
from mentor.errors import InputError, RunFolderError
from mentor.runs.model_folders import as_checkpoint

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def base_model(config: Config, root: Path) -> Path | str:
    """Return the model that sft or rl starts from: a checked local folder, or a hub name.

    init=base: `model.path`, else the run's pretrained student; init=sft: the run's sft model; init=<name>: the run's rl
    or sft model of this name, or the model of this folder of the run; else `init` is a model folder.
    """
    if config.init == "base" and config.model is not None and config.model.path is not None:
        return local_or_hub(config.model.path, "model.path")
    if config.init in ("base", "sft"):
        return _of_run(root, "pretrain" if config.init == "base" else "sft", config.seed)
    if Path(config.init).name == config.init:  # no path
        if (root / config.init / "model").is_dir():
            return checked_model(root / config.init / "model", f"init={config.init}")
        for stage in ("rl", "sft"):
            if _models(root, f"{stage}-{config.init}"):
                return _of_run(root, f"{stage}-{config.init}", config.seed)
    models = ", ".join(sorted(path.parent.name for path in root.glob("*/model")))
    return checked_model(Path(config.init), f"init={config.init}", f", or a model of {root} ({models or 'none yet'})")


def local_or_hub(path: str, key: str) -> Path | str:
    """Return a checked local folder, or `path` itself when it can be a hub name (`owner/name`)."""
    if Path(path).exists() or not HUB_NAME.fullmatch(path):
        return checked_model(Path(path), f"{key}={path}")
    return path


def usable_model(path: str, key: str) -> Path | str:
    """Return the model that `path` names for use: a checked model folder, a checkpoint, or a hub name.

    Raises InputError where there is none.
    """
    checkpoint = as_checkpoint(Path(path))
    if checkpoint is None:
        return local_or_hub(path, key)
    if not (checkpoint / "meta.pt").is_file():
        steps = [int(other.name.removeprefix("step-")) for other in sorted(checkpoint.parent.glob("step-*"))]
        had = ", ".join(f"{checkpoint.parent}/{step}" for step in steps) or "none"
        raise InputError(f"`{key}={path}` is no checkpoint; there are: {had}")
    return checkpoint


def checked_model(folder: Path, given: str, named: str = "") -> Path:
    """Return the folder if it holds a config and a tokenizer; of a checkpoint its `model/`.

    named: what else is accepted, for the message. Raises InputError that names what is missing.
    """
    if (checkpoint := as_checkpoint(folder)) is not None:
        folder = checkpoint / "model"
        if not (folder / "config.json").is_file():
            raise InputError(
                f"`{given}` is a checkpoint: `mentor stage=push model.path={checkpoint}` makes a model of it"
            )
    if not folder.is_dir():
        raise InputError(f"`{given}` is not a folder; accepted: a Hugging Face model folder{named}")
    if not (folder / "config.json").is_file():
        inner = folder / "model"
        hint = f"; did you mean {inner}?" if (inner / "config.json").is_file() else ""
        raise InputError(f"`{given}` has no config.json, so it is not a model folder{hint}")
    try:
        is_object = isinstance(json.loads((folder / "config.json").read_bytes()), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise InputError(f"`{given}` has a config.json that is no JSON object; accepted: a Hugging Face model folder")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise InputError(f"`{given}` has no tokenizer; accepted: a folder with one of {', '.join(TOKENIZER_FILES)}")
    return folder


def _of_run(root: Path, stage: str, seed: int) -> Path:
    """Return the run's model of this stage and seed, or, without one of this seed, its only model of this stage."""
    own = root / f"{stage}-s{seed}" / "model"
    if own.is_dir():
        return checked_model(own, str(own))
    others = _models(root, stage)
    if len(others) == 1:
        return checked_model(others[0], str(others[0]))
    if others:
        found = ", ".join(str(path) for path in others)
        raise RunFolderError(f"no {stage} model of seed {seed} but several others: choose with init=<path> ({found})")
    choice = " (model.path=<path> takes another base)" if stage == "pretrain" else ""
    raise RunFolderError(f"{own} is missing: run `mentor stage={stage}` first, or give init=<path>{choice}")


def _models(root: Path, stage: str) -> list[Path]:
    """List the run's models of this stage, of any seed."""
    own = re.compile(re.escape(stage) + r"-s\d+")
    return sorted(path for path in root.glob("*/model") if own.fullmatch(path.parent.name))
