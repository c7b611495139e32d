"""The file by which the parent knows how far a rank is."""

import json
from pathlib import Path

import pytest

from mentor import progress
from mentor.runs import status
from mentor.runs.status import Status, StatusWriter, read_status


def test_a_rank_that_has_just_begun_has_no_file(tmp_path: Path):
    assert read_status(tmp_path / "rank-0.json") == Status("start", 0, "", None, "")


def test_a_process_that_is_alone_writes_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(status.VARIABLE, raising=False)
    assert StatusWriter.of_this_process() is None


def test_phase_stack_and_end_are_written_and_the_end_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "rank-1.json"
    monkeypatch.setenv(status.VARIABLE, str(path))
    writer = StatusWriter.of_this_process()
    assert writer is not None
    with progress.phase("update"):
        writer._write()
        found = read_status(path)
        assert found.phase == "update" and found.failed_at is None
        assert "test_phase_stack_and_end" in found.stack
        writer.failed("ValueError: no such thing\n")
    writer._write()
    found = read_status(path)
    assert found.report == "ValueError: no such thing\n" and found.failed_at and found.phase == "update"
    assert json.loads(path.read_text()).keys() == vars(Status()).keys()


def test_nothing_is_written_once_the_parents_folder_is_gone(tmp_path: Path):
    writer = StatusWriter(tmp_path / "gone" / "rank-0.json")
    writer.failed("late")
    assert not (tmp_path / "gone").exists()
