"""Checkpoints of a training stage: `checkpoints/step-00000010/`, under its final name only when whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from mentor import progress

KEEP = 2  # newest checkpoints left on disk


def write_whole(target: Path, write: Callable[[Path | None], None], is_main: bool = True) -> None:
    """Fill a folder beside `target`, flush it to disk, then give it its name; an older one is replaced.

    Where it cannot be filled, what was written is removed: a full disk must not stay full of half a checkpoint. Of
    several processes the main one writes; the others are there for what has to be gathered from all (`write(None)`).
    """
    with progress.phase("save"):
        if is_main:
            _fill(target, write)
        else:
            write(None)


def _fill(target: Path, write: Callable[[Path | None], None]) -> None:
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    target.parent.mkdir(exist_ok=True)  # but not the run folder above it: where that is gone, the work has ended
    partial.mkdir()
    try:
        write(partial)
        for path in partial.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if target.exists():
        old = target.with_name(f".{target.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        partial.rename(target)
        shutil.rmtree(old)
    else:
        partial.rename(target)


def save_checkpoint(folder: Path, step: int, write: Callable[[Path | None], None], is_main: bool = True) -> None:
    """Write the checkpoint after `step` steps and drop all but the newest few."""
    write_whole(folder / f"step-{step:08d}", write, is_main)
    if not is_main:
        return
    for _, path in _whole(folder)[:-KEEP]:
        shutil.rmtree(path)


def latest_checkpoint(folder: Path) -> tuple[int, Path] | None:
    """(steps done, folder) of the newest whole checkpoint."""
    whole = _whole(folder)
    return whole[-1] if whole else None


def _whole(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.name.removeprefix("step-")), path) for path in folder.glob("step-*") if path.is_dir())
