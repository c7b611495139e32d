"""W&B offline holds what metrics.jsonl holds."""

import json
import math
from pathlib import Path

import pytest
import wandb

from mentor.config import LoggerConfig
from mentor.loggers import build_logger
from tests.fixtures.wandb_files import wandb_history


def records(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


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
