"""One writer per folder, for as long as the parent or its child lives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mentor.errors import RunFolderError
from mentor.lock import FolderLock


def test_second_writer_is_refused_with_the_holders_pid(tmp_path: Path):
    folder = tmp_path / "run" / "sft-s0"
    with FolderLock(folder) as lock:
        assert lock.created
        with pytest.raises(RunFolderError, match=f"in use by process {os.getpid()}"), FolderLock(folder):
            pass
    with FolderLock(folder) as lock:
        assert not lock.created


def test_child_that_inherits_the_lock_keeps_it_when_the_parent_lets_go(tmp_path: Path):
    with FolderLock(tmp_path / "run") as lock:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock.fd,), close_fds=True
        )
    with pytest.raises(RunFolderError, match="in use"), FolderLock(tmp_path / "run"):
        pass
    child.communicate(b"\n")
    with FolderLock(tmp_path / "run"):
        pass


def test_remove_takes_back_only_what_was_made(tmp_path: Path):
    (tmp_path / "outputs").mkdir()
    with FolderLock(tmp_path / "outputs" / "run" / "rollout") as lock:
        lock.remove()
    assert list(tmp_path.iterdir()) == [tmp_path / "outputs"]
    assert not any((tmp_path / "outputs").iterdir())

    with FolderLock(tmp_path / "outputs" / "run" / "rollout") as lock:
        (tmp_path / "outputs" / "run" / "other").mkdir()
        lock.remove()
    assert [path.name for path in (tmp_path / "outputs" / "run").iterdir()] == ["other"]


def test_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be made"), FolderLock(tmp_path / "file" / "run"):
        pass
