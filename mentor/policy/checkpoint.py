"""Checkpoints of a training stage: `checkpoints/step-00000010/`, under its final name only when whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from mentor import progress
from mentor.files import write_folder

KEEP = 2  # newest checkpoints left on disk


def save_folder(target: Path, write: Callable[[Path | None], None], is_main: bool = True) -> None:
    """Write a folder that appears only whole (`write_folder`) from every rank.

    The main rank writes the files; the others call `write(None)` and take part in what is gathered from all.
    """
    with progress.phase("save"):
        if is_main:
            write_folder(target, write)
        else:
            write(None)


def save_checkpoint(folder: Path, step: int, write: Callable[[Path | None], None], is_main: bool = True) -> None:
    """Write the checkpoint after `step` steps and drop all but the newest few."""
    save_folder(folder / f"step-{step:08d}", write, is_main)
    if not is_main:
        return
    for _, path in _whole(folder)[:-KEEP]:
        shutil.rmtree(path)


def latest_checkpoint(folder: Path) -> tuple[int, Path] | None:
    """Return (steps done, folder) of the newest whole checkpoint, None without one."""
    whole = _whole(folder)
    return whole[-1] if whole else None


def _whole(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.name.removeprefix("step-")), path) for path in folder.glob("step-*") if path.is_dir())
