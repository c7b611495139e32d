"""One `mentor` command: Hydra composes it, once or for each point of a multirun, and each stage gets a child."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mentor.compose import (
    COMPOSE_ERRORS,
    compose_steps,
    explain,
    given_stage,
    parse,
    refuse_unread,
    register_schemas,
    to_config,
)
from mentor.conf_dir import conf_dir
from mentor.config import STAGES, Config, PipelineStage
from mentor.errors import ConfigError, MentorError
from mentor.runs.folder import run_root
from mentor.runs.launch import ChildFailed, run_stage, say
from mentor.runs.sweep import Point, point_name, record_point, sweep_id
from mentor.stages import pipeline

NOT_IN_SWEEP_ID = ("hydra", "overwrite", "logger", "launcher")


def run_command(arguments: Sequence[str]) -> None:
    """Raises MentorError with one line for bad input, ChildFailed when a stage failed and has said why."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing and exiting
    options, lines = _split_arguments(arguments)
    overrides = parse(lines)
    stage = given_stage(overrides)
    if stage in STAGES:
        refuse_unread(overrides, stage)
    register_schemas()
    command = Command()
    with tempfile.TemporaryDirectory(prefix="mentor-hydra-") as scratch:
        # Hydra notes the sweep in a folder of its own; the run's folders hold the resolved config of each point.
        extra = [f"hydra.sweep.dir={scratch}/{_sweep_id(overrides)}", _fixed_keys(overrides)]
        try:
            with _argv(["mentor", *options, *lines, *extra]):
                hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(command.job)()
        except COMPOSE_ERRORS as error:
            raise ConfigError(explain(error)) from None
        except (AssertionError, ValueError) as error:  # Hydra, on an override it cannot place
            if command.started:
                raise
            raise ConfigError(f"{' '.join(lines)}: {explain(error)}") from None
    command.raise_failures()


class Command:
    """What Hydra calls for every job of one command."""

    def __init__(self) -> None:
        self.started = 0
        self.error: Exception | None = None  # of a single job
        self.failed: list[tuple[str, int]] = []  # points of a multirun, with their exit codes

    def job(self, cfg: DictConfig) -> float | None:
        """Do the composed stage; the headline number goes back to Hydra's sweeper.

        Hydra prints the overrides of a job that raises, so what is raised here comes out in `raise_failures`; only a
        sweeper that handles failed points itself is handed the exception.
        """
        self.started += 1
        settings = HydraConfig.get()
        unresolved: Any = OmegaConf.to_container(settings.overrides.task, resolve=False)
        lines: tuple[str, ...] = tuple(unresolved)  # an interpolation that leads nowhere is told of below
        if settings.mode != RunMode.MULTIRUN:
            try:
                return _run(cfg, parse(lines), None)
            except Exception as error:
                self.error = error
                return None
        point = Point(Path(settings.sweep.dir).name, point_name(settings.job.override_dirname, settings.job.num), lines)
        say(f"point {settings.job.num}: {point.name}")
        try:
            return _run(cfg, parse(lines), point)
        except MentorError as error:
            self.failed.append((point.name, error.exit_code))
            if not isinstance(error, ChildFailed):
                say(f"point {settings.job.num}: {' '.join(str(error).split())}")
            if settings.runtime.choices["hydra/sweeper"] == "basic":
                return None
            raise

    def raise_failures(self) -> None:
        """What a single job raised, or ChildFailed for failed points: exit code 2 when each was bad input, else 1."""
        if self.error is not None:
            raise self.error
        if self.failed:
            names = ", ".join(name for name, _ in self.failed)
            say(f"{len(self.failed)} of {self.started} points failed: {names}")
            raise ChildFailed("points failed", min(code for _, code in self.failed))


def _run(cfg: DictConfig, overrides: Sequence[Override], point: Point | None) -> float | None:
    refuse_unread(overrides, str(cfg.stage.name))
    config = to_config(cfg)
    steps = compose_steps(config.stage, overrides) if isinstance(config.stage, PipelineStage) else None
    root = run_root(config)
    if point is None:
        return run_stage(config, root) if steps is None else pipeline.run(steps, root)
    return _run_point(config, steps, point, root)


def _run_point(config: Config, steps: Sequence[Config] | None, point: Point, root: Path) -> float | None:
    """A point's stage or pipeline in its own folder, noted in the manifest from its start on."""
    own_root = point.folder(root)
    outcome: dict[str, object] = {"stage": config.stage.name, "folder": str(own_root)}

    def on_start(config_hash: str | None) -> None:
        outcome["config_hash"] = config_hash
        record_point(point, root, "running", **outcome)

    try:
        if steps is None:
            headline = run_stage(config, root, own_root, on_start)
        else:
            on_start(None)
            headline = pipeline.run(steps, own_root)
    except BaseException as error:
        if "config_hash" in outcome:
            record_point(point, root, "failed", **outcome, error=str(error) or type(error).__name__)
        raise
    record_point(point, root, "done", **outcome, headline=headline)
    return headline


def _split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options and `key=value` overrides, in whatever order; raises ConfigError on an option Hydra does not know."""
    known, unknown = get_args_parser().parse_known_intermixed_args(list(arguments))
    if unknown:
        raise ConfigError(
            f"`{unknown[0]}` is not an option; accepted: key=value, -m, --config-dir, --cfg (mentor --help)"
        )
    return [entry for entry in arguments if entry not in known.overrides], list(known.overrides)


def _sweep_id(overrides: Sequence[Override]) -> str:
    return sweep_id(
        [str(entry.input_line) for entry in overrides if entry.key_or_group.split(".")[0] not in NOT_IN_SWEEP_ID]
    )


def _fixed_keys(overrides: Sequence[Override]) -> str:
    """A point is named from what it sets differently: Hydra leaves these keys out of the name."""
    keys = ",".join(f"'{entry.key_or_group}'" for entry in overrides if not entry.is_sweep_override())
    return f"hydra.job.config.override_dirname.exclude_keys=[{keys}]"


@contextmanager
def _argv(arguments: list[str]) -> Iterator[None]:
    """Hydra reads sys.argv."""
    before, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = before
