"""metrics.jsonl is the truth, W&B gets the same, the console stays readable without a terminal."""

import json
import math
import sys
from pathlib import Path

import pytest

from mentor.config import LoggerConfig
from mentor.errors import StageError
from mentor.loggers import build_logger


def records(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_metrics_are_written_at_once_with_step_and_time(tmp_path: Path):
    logger = build_logger(LoggerConfig(backends=[]), tmp_path)
    assert not list(tmp_path.iterdir())
    logger.log(0, {"reward/mean": 0.5, "policy/kl": math.inf})
    (record,) = records(tmp_path / "metrics.jsonl")
    assert record.pop("time") > 1.6e9
    assert record == {"step": 0, "reward/mean": 0.5, "policy/kl": None}
    with pytest.raises(ValueError, match="reward/mean is no number"):
        logger.log(1, {"reward/mean": "high"})  # type: ignore[dict-item]


def test_without_a_folder_only_the_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    logger = build_logger(LoggerConfig(), None)
    logger.log(0, {"reward/mean": 1.0})
    logger.close()
    assert not list(tmp_path.iterdir())


def test_a_backend_without_its_package_is_refused_with_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.delitem(sys.modules, "mentor.loggers.mlflow_backend", raising=False)
    with pytest.raises(StageError, match=r"logger.backends=mlflow needs a package: pip install 'mentor\[mlflow\]'"):
        build_logger(LoggerConfig(backends=["mlflow"]), tmp_path)
