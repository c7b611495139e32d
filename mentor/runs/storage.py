"""Why a stage could not write: the disk is full, or its folder is gone. Told apart from bugs by looking."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from mentor.errors import StorageError
from mentor.runs.folder import CONFIG_NAME

FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_TEXT = "No space left on device"  # libraries that write by themselves (safetensors) put it into their own error


def storage_error(error: BaseException, folder: Path) -> StorageError | None:
    """What `error`, raised by a stage that writes into `folder`, says about the storage; None where it is not to blame.

    The stage's config.yaml is there before it starts, so a folder without one was deleted under it.
    """
    if isinstance(error, StorageError):
        return error
    if not (folder / CONFIG_NAME).is_file():
        return StorageError(f"{folder} was deleted or moved while its stage was running")
    if disk_full(error):
        return StorageError(
            f"no space left on the device that holds {folder}: free some and run the same command again, it goes on "
            "from the last whole checkpoint and record"
        )
    return None


def disk_full(error: BaseException) -> bool:
    """Whether the error, or one it came from, is that of a full disk."""
    return any(
        (isinstance(cause, OSError) and cause.errno in FULL) or FULL_TEXT in str(cause) for cause in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from or while handling."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
