"""Tell errors of the storage from bugs: the disk is full, or the folder of the stage was deleted."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from mentor.errors import StorageError
from mentor.runs.folder import CONFIG_NAME

FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_TEXT = "No space left on device"  # part of the errors of libraries that write by themselves (safetensors)


def storage_error(error: BaseException, folder: Path) -> StorageError | None:
    """Return the StorageError behind `error`, raised by a stage that writes into `folder`; None for another error.

    config.yaml is written before a stage starts, so a folder without it was deleted meanwhile.
    """
    if isinstance(error, StorageError):
        return error
    if not (folder / CONFIG_NAME).is_file():
        return StorageError(f"{folder} was deleted or moved while its stage was running")
    if disk_full(error):
        return StorageError(
            f"no space left on the device that holds {folder}: free some and run the same command again: it resumes "
            "from the last complete checkpoint and record"
        )
    return None


def disk_full(error: BaseException) -> bool:
    """Return whether the error, or one that it was raised from, is that of a full disk."""
    return any(
        (isinstance(cause, OSError) and cause.errno in FULL) or FULL_TEXT in str(cause) for cause in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, its cause or context, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
