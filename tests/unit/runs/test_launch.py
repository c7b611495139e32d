"""One stage from its parent's side: a fresh child, done ones skipped, and what is said of one that failed."""

import json
import signal
from pathlib import Path

import pytest

from mentor.config import (
    Config,
    LoggerConfig,
    ModelConfig,
    RolloutStage,
    SftStage,
    TaskConfig,
    ToolsConfig,
    WorkedTeacher,
)
from mentor.errors import MentorError, RunFolderError
from mentor.runs import launch
from mentor.runs.launch import ChildFailed, ChildStopped, run_stage
from mentor.runs.launch_ranks import Ending

ROLLOUT = Config(
    stage=RolloutStage("rollout"),
    task=TaskConfig("calculator", size=3),
    teacher=WorkedTeacher("oracle"),
    tools=ToolsConfig("calculator"),
    logger=LoggerConfig(wandb="disabled"),
)


def test_a_stage_runs_once_and_is_then_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    started: list[int] = []
    first = run_stage(ROLLOUT, tmp_path, on_start=lambda: started.append(1))
    assert first is not None and first["name"] == "rollout/verified_share" and started == [1]
    summary = json.loads((tmp_path / "rollout" / "summary.json").read_text())
    assert summary["status"] == "done" and summary["headline"] == first
    assert run_stage(ROLLOUT, tmp_path, on_start=lambda: started.append(2)) == first
    assert started == [1] and "is done in" in capsys.readouterr().err


def test_a_stage_that_lacks_its_input_starts_nothing_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(RunFolderError, match="run `mentor stage=rollout` first"):
        run_stage(Config(stage=SftStage("sft"), model=ModelConfig("tiny")), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("ending", "message", "kind", "code"),
    [
        (Ending(-signal.SIGKILL), "stage=rollout was ended by SIGKILL; running it again resumes it", MentorError, 1),
        (Ending(1, "rank 1 of 2 made no progress"), "stage=rollout: rank 1 of 2 made no progress; ", MentorError, 1),
        (Ending(2), "stage=rollout failed: no such key", ChildFailed, 2),
        (Ending(143), "stage=rollout failed: no such key", ChildFailed, 1),
    ],
)
def test_how_a_child_ended_becomes_an_error(ending: Ending, message: str, kind: type[MentorError], code: int):
    with pytest.raises(kind) as raised:
        launch._raise_failed(ROLLOUT, ending, {"error": "no such key"})
    assert str(raised.value).startswith(message) and raised.value.exit_code == code
    launch._raise_failed(ROLLOUT, Ending(0), None)


def test_a_signal_ends_with_its_number():
    stopped = ChildStopped(signal.SIGTERM)
    assert stopped.exit_code == 143 and str(stopped) == "stopped by SIGTERM"
