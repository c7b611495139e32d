"""metrics.jsonl is the truth, W&B gets the same, the console stays readable without a terminal."""

import json
import math
from pathlib import Path

import pytest
import wandb

from mentor.config import LoggerConfig
from mentor.loggers import build_logger
from mentor.loggers.console import Console
from tests.fixtures.wandb_files import wandb_history


def records(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_metrics_are_written_at_once_with_step_and_time(tmp_path: Path):
    logger = build_logger(LoggerConfig(wandb="disabled"), tmp_path)
    assert not list(tmp_path.iterdir())
    logger.log(0, {"reward/mean": 0.5, "policy/kl": math.inf})
    (record,) = records(tmp_path / "metrics.jsonl")
    assert record.pop("time") > 1.6e9
    assert record == {"step": 0, "reward/mean": 0.5, "policy/kl": None}
    with pytest.raises(ValueError, match="reward/mean is no number"):
        logger.log(1, {"reward/mean": "high"})  # type: ignore[dict-item]


def test_roll_back_moves_later_records_and_drops_a_half_line(tmp_path: Path):
    logger = build_logger(LoggerConfig(wandb="disabled"), tmp_path)
    assert logger.roll_back(3) == 0
    for step in range(5):
        logger.log(step, {"loss/train": step})
    logger.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')

    resumed = build_logger(LoggerConfig(wandb="disabled"), tmp_path)
    assert resumed.roll_back(2) == 2
    resumed.log(3, {"loss/train": 30})
    resumed.close()
    assert [(row["step"], row["loss/train"]) for row in records(tmp_path / "metrics.jsonl")] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 30),
    ]
    assert [row["step"] for row in records(tmp_path / "metrics.rolled_back.jsonl")] == [3, 4]


def test_without_a_folder_only_the_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    logger = build_logger(LoggerConfig(), None)
    logger.log(0, {"reward/mean": 1.0})
    logger.close()
    assert not list(tmp_path.iterdir())


def test_progress_without_a_terminal_is_plain_and_bounded(capsys: pytest.CaptureFixture[str]):
    with Console(line_every_s=1000).progress(100, "rl") as bar:
        for step in range(100):
            bar.advance(reward=step / 100)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("rl 100/100") and lines[0].endswith("reward=0.99")


def test_message_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]):
    text = "[bold]x[/bold] " + "long " * 60
    Console(bars=False).message(text)
    assert capsys.readouterr().err == text + "\n"


def test_wandb_offline_holds_the_same_values_and_a_resume_keeps_the_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for steps in (range(2), range(2, 4)):
        logger = build_logger(LoggerConfig(wandb="offline"), tmp_path, "rl-flexible-s0", "default", {"seed": 0})
        for step in steps:
            logger.log(step, {"reward/mean": 0.25 * step, "policy/kl": math.nan, "policy/updates": 2})
        logger.close()
    wandb.teardown()  # as at the end of a process: its service writes on for a moment after a run is finished

    runs = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert len({path.name for path in runs}) == 1, "one run id"
    assert [row for path in runs for row in wandb_history(path)] == records(tmp_path / "metrics.jsonl")
