"""The folder of a stage inside a run: its name, the folders it reads, and whether it may be written.

outputs/<run>/{rollout, pretrain-s0, sft-s0, sft-<name>-s0, rl-<name>-s0, eval, report}; a multirun point has its own
under sweeps/.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from mentor.config import TOP_LEVEL_READERS, Config, new_name
from mentor.errors import RunFolderError, one_line
from mentor.files import is_partial, write_file
from mentor.lock import LOCK_NAME
from mentor.runs.identity import config_hash, differences, flatten, identity

CONFIG_NAME = "config.yaml"
REPLACED = ".replaced"  # holds what an overwrite replaces until the new stage has ended
PARITY = "parity"  # holds what stage=parity found, by the name of the model
REQUESTS = "requests"  # answers of a teacher's endpoint, each found by the hash of all that decides it

FOLDERLESS = ("score", "check", "chat", "serve", "parity", "push")
"""Stages without a folder in the run: score writes the file that the user names, parity one of each model, the others
nothing into it."""


@dataclass(frozen=True)
class RunFolder:
    """path: folder of this stage. root: where the run's other stages are. resumed: the folder holds earlier work."""

    path: Path
    root: Path
    resumed: bool = False

    def upstream(self, relative: str, made_by: str) -> Path:
        """Return a file or folder of an earlier stage; raises RunFolderError that names the stage which makes it."""
        path = self.root / relative
        if not path.exists():
            raise RunFolderError(f"{path} is missing: run `mentor stage={made_by}` first, or choose another run=")
        return path


def stage_folder(config: Config) -> str:
    """Name the folder of a stage inside its run. Raises ValueError for a stage without one."""
    stage = config.stage.name
    if stage in ("rollout", "eval", "report"):
        return stage
    if stage == "sft" and config.name is not None:
        return f"sft-{config.name}-s{config.seed}"
    if stage in ("pretrain", "sft"):
        return f"{stage}-s{config.seed}"
    if stage == "rl":
        return rl_folder(config)
    raise ValueError(f"stage={stage} has no folder")


def rl_folder(config: Config) -> str:
    """Name the folder that stage=rl writes with this config."""
    assert config.reward is not None
    return f"rl-{config.name or config.reward.name}-s{config.seed}"


def run_root(config: Config) -> Path:
    return Path(config.paths.outputs) / config.run


def claim(path: Path, config: Mapping[str, Any], overwrite: bool) -> bool:
    """Make `path` the folder of this config. Returns True when it already was: its work is resumed or done.

    Writes `config.yaml`. With `overwrite` the content of a stage's folder is set aside until `settle`. A rollout
    without a verified trajectory is cleared for another config; answers that an endpoint was paid for stay. Raises
    RunFolderError when the folder holds another config (listing what differs) or files of another program. The
    caller holds the lock of the folder or of its parent.
    """
    stored = stored_config(path)
    if stored is None:
        found = _entries(path) if path.is_dir() else []
        foreign = [entry.name for entry in found if not is_partial(entry)]
        if foreign:
            raise RunFolderError(f"{path} holds files but no {CONFIG_NAME} ({foreign[0]}, ...): move them or use run=")
        for entry in found:  # of a process that was killed while it wrote the first file
            _delete(entry)
    elif overwrite:
        _set_aside(path)
        stored = None
    elif _is_other(stored, config) and _verified_nothing(path, stored):
        for entry in _entries(path):
            if entry.name != REQUESTS:
                _delete(entry)
        stored = None
    else:
        refuse_other(path, config)
    if stored is None:
        path.mkdir(parents=True, exist_ok=True)
        write_config(path, config)
    return stored is not None


def refuse_other(path: Path, config: Mapping[str, Any]) -> None:
    """Raise RunFolderError when `path` holds the result of another config; accept a folder without one."""
    stored = stored_config(path)
    if stored is None or not _is_other(stored, config):
        return
    for key in flatten(stored):
        if new_name(key) is not None:
            raise RunFolderError(
                f"{path} holds a configuration of an earlier version, in which `{new_name(key)}` was `{key}`: "
                "give run= for a new folder, or overwrite=true"
            )
    listed = "; ".join(differences(identity(stored), identity(config)))
    keys = "name= or run=" if config["stage"]["name"] in TOP_LEVEL_READERS["name"] else "run="
    raise RunFolderError(
        f"{path} holds another configuration ({listed}): give {keys} for a new folder, or overwrite=true"
    )


def _is_other(stored: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    return config_hash(identity(stored)) != config_hash(identity(config))


def _verified_nothing(path: Path, stored: Mapping[str, Any]) -> bool:
    """Whether a folder holds a rollout without any verified trajectory."""
    trajectories = path / "trajectories.jsonl"
    return stored["stage"]["name"] == "rollout" and not (trajectories.is_file() and trajectories.stat().st_size)


def stored_config(path: Path) -> dict[str, Any] | None:
    """Read the config.yaml of a stage folder, None if there is none; raises RunFolderError if it is not mentor's."""
    try:
        values = yaml.safe_load((path / CONFIG_NAME).read_text())
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path / CONFIG_NAME} is not readable YAML: {one_line(error)}") from None
    if not isinstance(values, dict) or not isinstance(values.get("stage"), dict) or "name" not in values["stage"]:
        raise RunFolderError(f"{path / CONFIG_NAME} is not a mentor config: move it or use run=")
    return values


def write_config(path: Path, config: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    write_file(path / CONFIG_NAME, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def settle(path: Path, restore: bool) -> None:
    """End an overwrite: bring back what was set aside (if the new stage failed at once), or delete it."""
    aside = path / REPLACED
    if not aside.is_dir():
        return
    if restore:
        for entry in _entries(path):
            _delete(entry)
        for entry in aside.iterdir():
            entry.rename(path / entry.name)
    shutil.rmtree(aside)


def _set_aside(path: Path) -> None:
    """Move everything but the lock into the folder REPLACED."""
    aside = path / REPLACED
    if aside.is_dir():  # of an overwrite that was killed
        shutil.rmtree(aside)
    aside.mkdir()
    for entry in _entries(path):
        entry.rename(aside / entry.name)


def _entries(path: Path) -> list[Path]:
    return [entry for entry in path.iterdir() if entry.name not in (LOCK_NAME, REPLACED)]


def _delete(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
