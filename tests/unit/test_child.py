"""The process of one stage: its summary, its exit code, what it says, and how signals stop it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mentor.child import Stopped, _interrupt, _note_failure, _report, main
from mentor.config import Config, LoggerConfig, RolloutStage, TaskConfig, ToolsConfig, WorkedTeacher, dump
from mentor.errors import InputError, StorageError
from mentor.progress import STORE
from mentor.runs.folder import claim
from mentor.runs.status import VARIABLE, read_status

ROLLOUT = Config(
    stage=RolloutStage("rollout"),
    task=TaskConfig("calculator", size=3),
    teacher=WorkedTeacher("oracle"),
    tools=ToolsConfig("calculator"),
    logger=LoggerConfig(wandb="disabled"),
)
UNREADABLE = replace(ROLLOUT, task=TaskConfig("jsonl", path="no.jsonl"))


@pytest.fixture
def signals() -> Iterator[None]:
    """`main` sets handlers for the whole process."""
    kept = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)}
    yield
    for signum, handler in kept.items():
        signal.signal(signum, handler)


def arguments(folder: Path) -> list[str]:
    return ["--folder", str(folder), "--root", str(folder.parent)]


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_a_stage_leaves_a_summary_and_ends_with_0(tmp_path: Path, signals: None):
    folder = tmp_path / "rollout"
    claim(folder, dump(ROLLOUT), overwrite=False)
    assert main(arguments(folder)) == 0
    found = summary(folder)
    assert found["status"] == "done" and found["headline"]["name"] == "rollout/verified_share"
    assert found["seconds"]["total"] >= 0 and found["ended"] >= found["started"]
    lines = (folder / "trajectories.jsonl").read_text().splitlines()
    rejected = folder / "rejected.jsonl"
    assert len(lines) + (len(rejected.read_text().splitlines()) if rejected.is_file() else 0) == 3


def test_bad_input_is_one_line_noted_and_ends_with_2(tmp_path: Path, signals: None, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "rollout"
    claim(folder, dump(UNREADABLE), overwrite=False)
    assert main(arguments(folder)) == 2
    found = summary(folder)
    assert found["status"] == "failed" and "no.jsonl" in found["error"]
    assert capsys.readouterr().err.endswith(f"mentor: {found['error']}\n")


def test_one_of_several_leaves_what_it_has_to_say_in_its_status(
    tmp_path: Path, signals: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "rank-0.json"))
    assert main(arguments(tmp_path / "sft-s0")) == 2
    assert read_status(tmp_path / "rank-0.json").report == f"mentor: {tmp_path / 'sft-s0'} has no config.yaml\n"
    assert not capsys.readouterr().err


def test_errors_signals_and_bugs_have_their_codes():
    assert _report(InputError("two\nlines")) == ("mentor: two lines\n", 2)
    assert _report(Stopped(15)) == ("mentor: stopped by SIGTERM; run the same command again to resume\n", 143)
    text, code = _report(ValueError("a bug"))
    assert code == 1 and text == "ValueError: a bug\n"


def test_a_summary_that_cannot_be_written_is_said_unless_the_storage_is_to_blame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    gone = tmp_path / "gone"
    _note_failure(gone, {}, StorageError("gone was deleted"))
    assert not capsys.readouterr().err
    _note_failure(gone, {}, ValueError("2"))
    assert f"{gone / 'summary.json'} was not written" in capsys.readouterr().err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_loop_between_its_callbacks(signum: signal.Signals):
    """Cut in the middle of one, a wake-up could be lost, and what waits for it would hold the process for ever."""
    steps = []

    async def stage() -> None:
        signal.raise_signal(signum)
        steps.append("the rest of the callback")
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    before = signal.signal(signum, _interrupt)
    try:
        with pytest.raises(Stopped) as stopped:
            asyncio.run(stage())
    finally:
        signal.signal(signum, before)
    assert stopped.value.signum == signum and steps == ["the rest of the callback", "cleaned up"]


def test_without_a_loop_a_signal_stops_at_once():
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_rank_of_another_node_writes_what_it_says_into_a_log(tmp_path: Path):
    log = tmp_path / "logs" / "node-1.log"
    command = [sys.executable, "-m", "mentor.child", *arguments(tmp_path / "none"), "--log", str(log)]
    for _ in range(2):
        done = subprocess.run(command, env={**os.environ, STORE: "ranks", "RANK": "1"}, capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr == done.stdout == ""
    assert log.read_text().count("none has no config.yaml") == 2
