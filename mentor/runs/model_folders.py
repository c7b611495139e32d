"""Where a model of a run lies: `model/` of its stage, or a checkpoint of it, named by its step. Loads nothing."""

from __future__ import annotations

from pathlib import Path

from mentor.runs.folder import CONFIG_NAME

CHECKPOINTS = "checkpoints"


def as_checkpoint(path: Path) -> Path | None:
    """Return the folder of a checkpoint from `checkpoints/20`, `checkpoints/step-00000020` or `model` in it; else
    None."""
    path = path.resolve()
    folder = path.parent if path.name in ("model", "adapter") else path
    step = folder.name.removeprefix("step-")
    if folder.parent.name != CHECKPOINTS or not step.isdecimal():
        return None
    return folder.with_name(f"step-{int(step):08d}")


def stage_of(model: Path) -> Path:
    """Return the folder of the stage that made a model, where it is one of a run."""
    checkpoint = as_checkpoint(model)
    return model.resolve().parent if checkpoint is None else checkpoint.parents[1]


def model_name(model: Path | str) -> str:
    """Name a model below eval/: by its stage's folder (and step), its own folder, or its hub name with `--` for `/`."""
    if isinstance(model, str):
        return model.replace("/", "--")
    checkpoint = as_checkpoint(model)
    if checkpoint is not None:
        return f"{stage_of(model).name}-step-{int(checkpoint.name.removeprefix('step-'))}"
    path = model.resolve()
    return path.parent.name if path.name == "model" else path.name


def is_made_in(model: Path, *roots: Path) -> bool:
    """Return whether a stage in one of these folders, of runs or points of a sweep, made the model."""
    stage = stage_of(model)
    return stage.parent in {root.resolve() for root in roots} and (stage / CONFIG_NAME).is_file()
