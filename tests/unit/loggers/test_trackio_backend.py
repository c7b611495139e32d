"""Trackio's database holds what metrics.jsonl holds."""

import json
import math
from pathlib import Path

import pytest

from mentor.config import LoggerConfig
from mentor.loggers import build_logger
from tests.fixtures.installed import needs

pytestmark = needs("trackio")


def test_the_database_holds_the_same_values_and_a_resume_goes_on_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read by the first import in this process
    for steps in (range(2), range(2, 4)):
        settings = LoggerConfig(backends=["trackio"], project=tmp_path.name)
        logger = build_logger(settings, tmp_path, "rl-flexible-s0", "default", {"seed": 7})
        for step in steps:
            logger.log(step, {"reward/mean": 0.25 * step, "policy/kl": math.nan, "policy/updates": 2})
        logger.close()
    assert capsys.readouterr().out == ""

    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    (run,) = trackio.Api().runs(tmp_path.name)
    assert run.name == "rl-flexible-s0" and run.config["seed"] == 7
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    found = SQLiteStorage.get_logs(tmp_path.name, run.name)
    untimed = [[{key: row[key] for key in row if key not in ("time", "timestamp")} for row in x] for x in (found, rows)]
    assert untimed[0] == untimed[1]
