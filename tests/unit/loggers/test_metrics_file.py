"""metrics.jsonl after a roll-back."""

import json
from pathlib import Path

from mentor.config import LoggerConfig
from mentor.loggers import build_logger


def records(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


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
