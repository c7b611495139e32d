"""TensorBoard's event files hold what metrics.jsonl holds."""

import json
import math
from collections import defaultdict
from pathlib import Path

from mentor.config import LoggerConfig
from mentor.loggers import build_logger
from tests.fixtures.installed import needs

pytestmark = needs("tensorboard")


def test_event_files_hold_the_same_values_before_and_after_a_resume(tmp_path: Path):
    for steps in (range(2), range(2, 4)):
        logger = build_logger(LoggerConfig(backends=["tensorboard"]), tmp_path, "rl", "default", {"seed": 7})
        for step in steps:
            logger.log(step, {"reward/mean": 0.25 * step, "policy/kl": math.nan, "policy/updates": 2})
        logger.close()

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0})
    read.Reload()
    found: dict[int, dict[str, float | None]] = defaultdict(dict)
    for tag in read.Tags()["scalars"]:
        for event in read.Scalars(tag):
            found[event.step] |= {
                tag: None if math.isnan(event.value) else event.value,
                "time": round(event.wall_time, 3),
            }
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [{"step": step, **found[step]} for step in sorted(found)] == rows
    (config,) = {event.tensor_proto.string_val[0] for event in read.Tensors("config/text_summary")}
    assert b'"seed": 7' in config
