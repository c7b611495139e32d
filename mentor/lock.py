"""One writer per folder: `flock` on `<folder>/.lock`, held by the parent and, by inheritance, its child.

The lock lives as long as either process does: killing the parent does not open the folder while the child writes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from types import TracebackType

from mentor.errors import RunFolderError

LOCK_NAME = ".lock"


class FolderLock:
    """Make the folder if necessary and lock it; `created` says whether this lock made it.

    make: false for a folder that has to be there. Raises RunFolderError with the holder's process id when another
    process holds it.
    """

    def __init__(self, folder: Path, make: bool = True) -> None:
        self.folder, self.make = folder, make
        self.made: list[Path] = []  # folders this lock made, the deepest last
        self.fd = -1

    @property
    def created(self) -> bool:
        return self.folder in self.made

    def __enter__(self) -> FolderLock:
        self._make_folder()
        path = self.folder / LOCK_NAME
        while True:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(self.fd, 32, 0).decode().strip() or "unknown"
                os.close(self.fd)
                raise RunFolderError(f"{self.folder} is in use by process {holder}; wait for it or stop it") from None
            if _is_file(self.fd, path):
                break
            os.close(self.fd)  # the holder before us removed the file: take the one that is there now
            self._make_folder()
        sign(self.fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self.fd)

    def remove(self) -> None:
        """Delete the folder and the empty folders above it that this lock made."""
        shutil.rmtree(self.folder)
        for folder in reversed(self.made[:-1]):
            if any(folder.iterdir()):
                break
            folder.rmdir()

    def _make_folder(self) -> None:
        if not self.make:
            if not self.folder.is_dir():
                raise RunFolderError(f"{self.folder} is no longer there")
            return
        missing = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{self.folder} cannot be made: {error.strerror}") from None
        self.made.extend(folder for folder in reversed(missing) if folder not in self.made)


def sign(fd: int) -> None:
    """Write this process's id into an open lock: first the parent's, then that of the child which runs the stage."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)


def _is_file(fd: int, path: Path) -> bool:
    """Return whether the open descriptor is still the file at the path."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
