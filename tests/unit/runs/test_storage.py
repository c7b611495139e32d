"""Errors of a full or deleted storage are told apart from bugs."""

import errno
from pathlib import Path

from mentor.errors import StorageError
from mentor.runs.folder import CONFIG_NAME
from mentor.runs.storage import disk_full, storage_error


def make_folder(path: Path) -> Path:
    (path / CONFIG_NAME).write_text("stage: {name: sft}\n")
    return path


def test_a_folder_without_its_config_was_deleted(tmp_path: Path):
    found = storage_error(ValueError("whatever"), tmp_path / "sft-s0")
    assert found is not None and "was deleted or moved" in str(found)


def test_a_full_disk_is_named_with_what_to_do(tmp_path: Path):
    for error in (
        OSError(errno.ENOSPC, "full"),
        OSError(errno.EDQUOT, "quota"),
        RuntimeError("No space left on device"),
    ):
        found = storage_error(error, make_folder(tmp_path))
        assert found is not None and "free some and run the same command again" in str(found)


def test_the_cause_and_the_context_of_an_error_count():
    try:
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError as error:
            raise ValueError("not written") from error
    except ValueError as error:
        caused = error
    try:
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError:
            raise KeyError("while handling it")  # noqa: B904
    except KeyError as error:
        handled = error
    assert disk_full(caused) and disk_full(handled)
    assert not disk_full(OSError(errno.EACCES, "denied")) and not disk_full(ValueError("2"))


def test_an_error_of_the_storage_stays_and_another_is_none_of_it(tmp_path: Path):
    error = StorageError("deleted while it was being written")
    assert storage_error(error, make_folder(tmp_path)) is error
    assert storage_error(ValueError("2"), tmp_path) is None
