"""Hydra's launcher for `mentor -m`, found by Hydra in this package: it composes the points, the command runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn


class PointsLauncher(BasicLauncher):
    """Have the command compose every point of a batch, then run all of them."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        returns = super().launch(job_overrides, initial_job_idx)
        command: Any = self.task_function  # the bound method `mentor.command.Command.job`
        command.__self__.multirun.do(returns)
        return returns


ConfigStore.instance().store(
    group="hydra/launcher", name="mentor", node={"_target_": f"{PointsLauncher.__module__}.PointsLauncher"}
)
