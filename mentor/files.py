"""Files and folders that appear under their names only when they are whole.

Both are filled beside their place and renamed. A process that dies leaves the older version, or none.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from mentor import progress

FLUSHED_BYTES = 16 * 2**20  # between two beats


def is_partial(path: Path) -> bool:
    """Return whether a path is that of a file or folder which is being filled, or which a killed process left so."""
    return path.name.startswith(".") and path.name.endswith(".partial")


def write_file(path: Path, text: str | Iterable[str], durable: bool = True) -> None:
    """Replace a file by `text` (UTF-8; one string or several in order) in one step.

    durable: on disk before the rename, so that a power cut leaves one version or the other. The folder must exist.
    Where the text cannot be written, what was written of it is removed and the older file stays. Raises OSError.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")  # two processes may write one file
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Replace a folder by the one that `fill` writes into, flushed to disk; one process at a time may do so.

    The folder above is made, but none above that: where a run's folder was deleted, the run has ended. Where `fill`
    fails, what it wrote is removed: a full disk must not stay full of half a folder.

    Raises OSError, or what `fill` raises.
    """
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    path.parent.mkdir(exist_ok=True)
    partial.mkdir()
    try:
        fill(partial)
        for written in partial.rglob("*"):
            if written.is_file():
                flush_file(written)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if not path.exists():
        partial.rename(path)
        return
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    path.rename(old)
    partial.rename(path)
    shutil.rmtree(old)


def flush_file(path: Path) -> None:
    """Wait until a file is on its disk or server, with a beat after each part: all of it may take many minutes.

    What is mapped is what was written, however that was done. Where a file system maps no files for writing, the whole
    is one part. Raises OSError.
    """
    size = path.stat().st_size
    with path.open("r+b") as file:
        if size:
            try:
                view = mmap.mmap(file.fileno(), size)
            except OSError as error:
                if error.errno not in (errno.ENODEV, errno.EINVAL):
                    raise
            else:
                with view:
                    for start in range(0, size, FLUSHED_BYTES):
                        view.flush(start, min(FLUSHED_BYTES, size - start))
                        progress.beat()
        os.fsync(file.fileno())
