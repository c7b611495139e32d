"""MLflow: a database in the stage's `mlflow/` folder, or the server that MLFLOW_TRACKING_URI names.

A resumed stage continues the run whose id is kept in `<folder>/mlflow/run_id`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from mentor.loggers.tracked import TrackedRun

MAX_PARAM = 6000  # characters of a parameter's value that MLflow takes


class MlflowBackend:
    """A number that is not finite is left out: MLflow's databases hold none."""

    def __init__(self, run: TrackedRun) -> None:
        folder = run.folder / "mlflow"
        folder.mkdir(parents=True, exist_ok=True)
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        for name in ("mlflow", "alembic"):  # how the database is made
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = MlflowClient(tracking_uri=uri)
        self._id = self._resumed(folder / "run_id") or self._created(run, folder / "run_id")

    def log(self, step: int, record: Mapping[str, Any]) -> None:
        at = int(record["time"] * 1000)
        metrics = [Metric(key, value, at, step) for key, value in record.items() if key != "time" and value is not None]
        self._client.log_batch(self._id, metrics)

    def close(self, failed: bool) -> None:
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")

    def _resumed(self, path: Path) -> str | None:
        if not path.exists():
            return None
        self._client.update_run(path.read_text().strip(), "RUNNING")
        return path.read_text().strip()

    def _created(self, run: TrackedRun, path: Path) -> str:
        found = self._client.get_experiment_by_name(run.project)
        experiment = found.experiment_id if found else self._client.create_experiment(run.project)
        created: str = self._client.create_run(experiment, run_name=run.own_name).info.run_id
        params = [Param(key, _text(value)) for key, value in _leaves(run.config)]
        for first in range(0, len(params), 100):  # as many as MLflow takes at a time
            self._client.log_batch(created, params=params[first : first + 100])
        if run.group:
            self._client.log_batch(created, tags=[RunTag("group", run.group)])
        path.write_text(created)
        return created


def _leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _text(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:MAX_PARAM]
