"""Checkpoints of a training stage: `checkpoints/step-00000010/`, under its final name only when whole."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from mentor import progress
from mentor.errors import PolicyError, RunFolderError
from mentor.files import write_folder
from mentor.lock import FolderLock
from mentor.policy.ranks import Ranks

SEEN_S = 90.0  # for what one node wrote to be seen on the others, whose NFS remembers folders for a minute


def save_folder(target: Path, write: Callable[[Path | None], None], ranks: Ranks | None = None) -> None:
    """Write a folder that appears only whole (`write_folder`) from every rank.

    The main rank writes the files; the others call `write(None)`, take part in what is gathered from all, and wait
    until all is on disk.
    """
    with _saving(ranks or Ranks()) as is_main:
        _write(target, write, is_main)


def save_checkpoint(folder: Path, step: int, write: Callable[[Path | None], None], ranks: Ranks | None = None) -> None:
    """Write the checkpoint after `step` steps."""
    save_folder(checkpoint_path(folder, step), write, ranks)


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def checkpoint_steps(folder: Path) -> list[int]:
    """List the steps of the whole checkpoints, the newest last."""
    return [step for step, _ in _whole(folder)]


def drop_checkpoints(folder: Path, kept: Collection[int]) -> None:
    """Delete the checkpoints of other steps, but none that another process holds (`FolderLock`): it is read."""
    for step, path in _whole(folder):
        if step in kept:
            continue
        try:
            with FolderLock(path, make=False):
                shutil.rmtree(path)
        except RunFolderError:  # it is dropped when the next ones are
            continue


@contextmanager
def _saving(ranks: Ranks) -> Iterator[bool]:
    """Wait for the main rank at the end, at a barrier: in a collective of what comes next a rank seems to stand still.

    Yields whether this rank writes.
    """
    with progress.phase("save"):
        yield ranks.is_main
    ranks.barrier()


def _write(target: Path, write: Callable[[Path | None], None], is_main: bool) -> None:
    if is_main:
        write_folder(target, write)
    else:
        write(None)


def latest_checkpoint(folder: Path) -> tuple[int, Path] | None:
    """Return (steps done, folder) of the newest whole checkpoint, None without one."""
    whole = _whole(folder)
    return whole[-1] if whole else None


def agreed_checkpoint(folder: Path, ranks: Ranks) -> tuple[int, Path] | None:
    """Return the newest whole checkpoint that rank 0 sees, once all ranks see it.

    Raises PolicyError where one does not within SEEN_S: it has another folder under this name.
    """
    deadline = time.monotonic() + SEEN_S
    while True:
        found = latest_checkpoint(folder)
        steps = ranks.all_gather(found and found[0])
        if len(set(steps)) == 1:
            return found
        if ranks.all_gather(time.monotonic() > deadline)[0]:
            raise PolicyError(
                f"the ranks see different checkpoints in {folder}, after steps {steps}: all nodes need the same folder"
            )
        time.sleep(1.0)


def _whole(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.name.removeprefix("step-")), path) for path in folder.glob("step-*") if path.is_dir())
