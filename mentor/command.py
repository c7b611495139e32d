"""Run one `mentor` command: compose it with Hydra, once or for each point of a sweep, and start a child per stage."""

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

from mentor.compose import COMPOSE_ERRORS, compose_stage, explain, given_stage, parse, register_schemas
from mentor.conf_dir import conf_dir
from mentor.config import STAGES
from mentor.errors import ConfigError
from mentor.readers import refuse, refuse_unread
from mentor.runs import pipeline
from mentor.runs.as_trained import use_trained
from mentor.runs.folder import run_root
from mentor.runs.launch import run_stage
from mentor.runs.meeting import meet
from mentor.runs.run_teacher import split_teacher_keys, talks_to_teacher, with_run_teacher
from mentor.sweeps.job import PointJob
from mentor.sweeps.multirun import Multirun, PointFailed
from mentor.sweeps.names import sweep_id

USES_TRAINED = ("chat", "serve", "parity")
"""Stages that take from a model's own stage what it was trained with."""
NOT_IN_SWEEP_ID = ("hydra", "overwrite", "logger", "launcher")


def run_command(arguments: Sequence[str]) -> None:
    """Run a command. Raises MentorError with one line for bad input, ChildFailed for a stage that has said why."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing and exiting
    options, lines = _split_arguments(arguments)
    overrides = parse(lines)
    stage = given_stage(overrides)
    if stage in STAGES:
        refuse_unread(overrides, stage)
    if stage in USES_TRAINED and {"-m", "--multirun"} & set(options):
        raise ConfigError(f"`stage={stage}` is no point of a sweep: leave {options[0]} out")
    if any(entry.key_or_group == "hydra/launcher" for entry in overrides):
        raise ConfigError("`hydra/launcher` is not accepted: launcher=local or launcher=slurm says where points run")
    register_schemas()
    overrides, of_teacher = split_teacher_keys(overrides, stage)
    lines = [str(entry.input_line) for entry in overrides]
    command = Command(of_teacher, {str(entry.key_or_group) for entry in overrides if not entry.is_sweep_override()})
    with tempfile.TemporaryDirectory(prefix="mentor-hydra-") as scratch:
        # Hydra writes into this folder; the run's folders hold the resolved config of each point.
        sweep = Path(scratch) / _sweep_id(overrides)
        extra = [f"hydra.sweep.dir={sweep}", _fixed_keys(overrides)]
        try:
            with _argv(["mentor", *options, *lines, *extra]):
                hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(command.job)()
        except COMPOSE_ERRORS as error:
            raise ConfigError(explain(error)) from None
        except (AssertionError, ValueError) as error:  # Hydra, on an override it cannot place
            if command.started:
                raise
            raise ConfigError(f"{' '.join(lines)}: {explain(error)}") from None
        except PointFailed:  # a sweeper that stops at the first failure, or all points failed
            command.multirun.raise_failures()
        command.multirun.keep_results(sweep)
    if command.error is not None:
        raise command.error
    command.multirun.raise_failures()


class Command:
    """The job function that Hydra calls, once or for every point. of_teacher: overrides that it is not given."""

    def __init__(self, of_teacher: list[Override], fixed: set[str]) -> None:
        self.started = False
        self.of_teacher = of_teacher
        self.error: Exception | None = None  # of a single job
        self.multirun = Multirun(fixed)

    def job(self, cfg: DictConfig) -> float | PointJob | None:
        """Run the composed stage and return its headline number; compose a point of a sweep, which `multirun.do` runs.

        An exception of a single job is kept for `run_command`: Hydra would print the overrides of a job that raises.
        """
        self.started = True
        settings = HydraConfig.get()
        unresolved: Any = OmegaConf.to_container(settings.overrides.task, resolve=False)
        overrides = parse(unresolved)  # `compose_stage` refuses an interpolation of an unknown key
        if settings.mode == RunMode.MULTIRUN:
            return self.multirun.compose(cfg, overrides)
        try:
            overrides += self.of_teacher
            if talks_to_teacher(cfg):
                cfg = with_run_teacher(cfg, overrides)
            elif cfg.stage.name in USES_TRAINED:
                use_trained(cfg, overrides)
            composed = compose_stage(cfg, overrides)
            refuse(composed.verdicts)
            root = run_root(composed.config)
            steps = composed.steps
            with meet(steps or [composed.config]) as meeting:
                if steps is None:
                    headline = run_stage(composed.config, root, meeting=meeting)
                else:
                    headline = pipeline.run(steps, root, meeting=meeting)
        except Exception as error:
            self.error = error
            return None
        return headline and headline["value"]


def _split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split options from `key=value` overrides, in any order. Raises ConfigError on an option Hydra does not know."""
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
    """Return the Hydra setting that leaves the keys all points share out of a point's name."""
    keys = ",".join(f"'{entry.key_or_group}'" for entry in overrides if not entry.is_sweep_override())
    return f"hydra.job.config.override_dirname.exclude_keys=[{keys}]"


@contextmanager
def _argv(arguments: list[str]) -> Iterator[None]:
    """Replace sys.argv, which Hydra reads."""
    before, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = before
