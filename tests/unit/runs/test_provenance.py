"""summary.json: written whole, read back, and what it says of code and packages."""

import subprocess
from pathlib import Path

import pytest

from mentor.errors import RunFolderError
from mentor.runs.provenance import (
    git_commit,
    headline,
    new_summary,
    note_failure,
    read_summary,
    versions,
    write_summary,
)


def test_a_summary_is_read_back_and_a_failure_noted_in_it(tmp_path: Path):
    assert read_summary(tmp_path) is None and headline(None) is None
    note_failure(tmp_path, "no summary to note it in")
    assert read_summary(tmp_path) is None
    summary = new_summary("sft", 3, "0123")
    write_summary(tmp_path, summary)
    assert read_summary(tmp_path) == summary
    assert (summary["stage"], summary["seed"], summary["status"], summary["ended"]) == ("sft", 3, "running", None)
    note_failure(tmp_path, "ended by SIGKILL")
    failed = read_summary(tmp_path)
    assert failed is not None and failed["status"] == "failed" and failed["error"] == "ended by SIGKILL"
    assert failed["ended"] >= failed["started"] and failed["config_hash"] == "0123"


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[1]", "is not a summary")])
def test_a_broken_summary_is_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(RunFolderError, match=message):
        read_summary(tmp_path)


def test_the_headline_of_a_summary():
    assert headline({"headline": {"name": "reward/correct", "value": 0.5}}) == {"name": "reward/correct", "value": 0.5}
    assert headline({"headline": None}) is None


def test_versions_are_those_of_installed_packages():
    found = versions()
    assert {"python", "torch", "transformers"} <= found.keys() and "no-such-package" not in found


def test_the_commit_says_whether_files_differ(tmp_path: Path):
    assert git_commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("1")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    commit = git_commit(tmp_path)
    assert commit is not None and len(commit) == 40
    (tmp_path / "file").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty" == git_commit(tmp_path, ["file"])
    (tmp_path / "page").mkdir()
    assert git_commit(tmp_path, ["page"]) == commit
