"""Files and folders that appear only whole."""

import errno
import mmap
import os

import pytest

from mentor import files, progress
from mentor.files import flush_file, write_file, write_folder


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path, durable):
    path = tmp_path / "rows.jsonl"
    write_file(path, "first\n", durable)
    write_file(path, (f"{word}\n" for word in ("é", "second")), durable)
    assert path.read_bytes() == "é\nsecond\n".encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_write_that_fails_keeps_the_older_file(tmp_path):
    def lines():
        yield "half\n"
        raise ValueError("no more")

    path = tmp_path / "a"
    write_file(path, "whole")
    with pytest.raises(ValueError):
        write_file(path, lines())
    assert path.read_text() == "whole" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "none" / "a", "text")


def test_another_process_may_write_the_same_file_meanwhile(tmp_path):
    """Its partial file carries its own process id."""
    other = tmp_path / f".a.{os.getpid() + 1}.partial"
    other.write_text("of another process")
    write_file(tmp_path / "a", "mine")
    assert (tmp_path / "a").read_text() == "mine" and other.read_text() == "of another process"


def test_a_folder_appears_whole_and_replaces_the_older(tmp_path):
    path = tmp_path / "model" / "step-1"
    seen = []

    def fill(folder):
        seen.append(path.exists())
        (folder / "sub").mkdir()
        (folder / "sub" / "weights").write_text(str(len(seen)))

    write_folder(path, fill)
    write_folder(path, fill)
    assert seen == [False, True] and (path / "sub" / "weights").read_text() == "2"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_filled_leaves_no_half(tmp_path):
    def fail(folder):
        (folder / "half").write_text("x")
        raise OSError("disk full")

    path = tmp_path / "model"
    write_folder(path, lambda folder: (folder / "old").write_text("1") and None)
    with pytest.raises(OSError, match="disk full"):
        write_folder(path, fail)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["model", "old"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / ".model.partial").mkdir()
    (tmp_path / ".model.partial" / "half").write_text("x")
    write_folder(tmp_path / "model", lambda folder: None)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["model"]


def test_no_folder_is_made_above_the_one_that_holds_it(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_folder(tmp_path / "gone" / "checkpoints" / "step-1", lambda folder: None)


def test_a_file_is_flushed_part_by_part_with_a_beat_after_each(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FLUSHED_BYTES", 4 * mmap.PAGESIZE)
    path = tmp_path / "weights"
    content = os.urandom(9 * mmap.PAGESIZE + 5)
    path.write_bytes(content)
    (_, before) = progress.position()
    flush_file(path)
    assert progress.position()[1] == before + 3 and path.read_bytes() == content
    path.write_bytes(b"")
    flush_file(path)
    write_folder(tmp_path / "model", lambda folder: (folder / "weights").write_bytes(content) and None)
    assert progress.position()[1] == before + 6


@pytest.mark.parametrize("code", [errno.ENODEV, errno.EIO])
def test_a_file_that_cannot_be_mapped_is_flushed_whole_and_a_disk_that_fails_is_an_error(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.mmap, "mmap", refuse)
    (tmp_path / "weights").write_bytes(b"x")
    if code == errno.ENODEV:
        flush_file(tmp_path / "weights")
    else:
        with pytest.raises(OSError, match="Input/output error"):
            flush_file(tmp_path / "weights")
