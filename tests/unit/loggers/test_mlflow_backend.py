"""MLflow's database holds what metrics.jsonl holds."""

import json
import math
from collections import defaultdict
from pathlib import Path

import pytest

from mentor.config import LoggerConfig
from mentor.loggers import build_logger
from tests.fixtures.installed import needs

pytestmark = needs("mlflow")


def test_the_database_holds_the_same_values_and_a_resume_goes_on_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for steps in (range(2), range(2, 4)):
        settings = LoggerConfig(backends=["mlflow"], project="tools")
        logger = build_logger(settings, tmp_path, "rl", "default", {"seed": 7, "trainer": {"name": "rl", "lora": {}}})
        for step in steps:
            logger.log(step, {"reward/mean": 0.25 * step, "policy/kl": math.nan, "policy/updates": 2})
        logger.close(failed=4 not in steps and 3 not in steps)

    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("tools").experiment_id])
    assert run.info.run_name == "rl" and run.info.status == "FINISHED" and run.data.tags["group"] == "default"
    assert run.data.params == {"seed": "7", "trainer.name": "rl", "trainer.lora": "{}"}
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for key in run.data.metrics:
        for metric in client.get_metric_history(run.info.run_id, key):
            found[metric.step] |= {key: metric.value, "time": metric.timestamp / 1000}
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    finite = [{key: value for key, value in row.items() if value is not None} for row in rows]
    assert [{"step": step, **found[step]} for step in sorted(found)] == finite
