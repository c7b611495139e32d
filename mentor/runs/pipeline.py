"""Run `stage=pipeline` in the parent: several stages in order, each in a new process.

All are composed before the first starts. A step that is done is skipped; the first failure ends the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mentor.config import Config, dump
from mentor.errors import ConfigError
from mentor.runs.folder import FOLDERLESS, stage_folder
from mentor.runs.identity import config_hash, identity
from mentor.runs.launch import run_stage, say
from mentor.runs.meeting import Meeting
from mentor.runs.provenance import Headline
from mentor.runs.start import shared_fork_servers


def run(
    steps: Sequence[Config],
    root: Path,
    on_start: Callable[[], None] = lambda: None,
    meeting: Meeting | None = None,
) -> Headline | None:
    """Run every step below `root` and return the last headline.

    on_start: called whenever a child starts. meeting: as for `run_stage`.
    """
    refuse_clashes(steps)
    last = None
    with shared_fork_servers():
        for number, config in enumerate(steps, 1):
            folder = "" if config.stage.name in FOLDERLESS else f" in {root / stage_folder(config)}"
            say(f"step {number}/{len(steps)}: stage={config.stage.name}{folder}")
            last = run_stage(config, root, on_start=on_start, meeting=meeting) or last
    return last


def refuse_clashes(steps: Sequence[Config]) -> None:
    """Raise ConfigError when two steps would write one folder with different configurations."""
    taken: dict[str, str] = {}
    for config in steps:
        if config.stage.name in (*FOLDERLESS, "eval", "report"):
            continue
        folder, hashed = stage_folder(config), config_hash(identity(dump(config)))
        if taken.setdefault(folder, hashed) != hashed:
            raise ConfigError(f"`stage.steps` has two steps that write {folder}; give one of them name= or seed=")
