"""Check what a stage reads before anything is written or started. Loads no model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from mentor.config import Config, DistillConfig, ModelTeacher, RolloutStage
from mentor.errors import RunFolderError
from mentor.rewards import own_files
from mentor.runs.base_model import base_model, local_or_hub
from mentor.runs.evaluations import benchmark_files, evaluations, fingerprint
from mentor.runs.folder import RunFolder, refuse_other
from mentor.runs.identity import content_hashes
from mentor.runs.provenance import read_summary


def preflight(config: Config, folder: RunFolder) -> dict[str, str]:
    """Hash the files that this stage reads: the user's files and the results of earlier stages.

    The hashes enter the config hash, so that a stage whose input has changed does not count as done. Raises
    RunFolderError or InputError for missing files.
    """
    task, tools = config.task, config.tools
    given = content_hashes(
        task_file=task.path if task else None,
        tools_file=tools.path if tools else None,
        schemas_file=tools.schemas if tools else None,
    )
    if config.reward is not None:
        given |= content_hashes(**own_files(asdict(config.reward)))
    if isinstance(config.stage, RolloutStage):
        given |= content_hashes(**{f"decontaminate {path}": path for path in config.stage.decontaminate})
    if isinstance(config.teacher, ModelTeacher) and config.teacher.path is not None:
        folder_or_name = Path(config.teacher.path)
        given["teacher"] = fingerprint(folder_or_name if folder_or_name.is_dir() else config.teacher.path)
    if isinstance(config.distill, DistillConfig) and config.distill.coef and config.distill.teacher.path is not None:
        given["distill_teacher"] = fingerprint(local_or_hub(config.distill.teacher.path, "distill.teacher.path"))
    if config.stage.name in ("sft", "rl"):
        for name, entry in config.benchmark.items():
            given |= content_hashes(**{f"{name} {what}": path for what, path in benchmark_files(entry).items()})
        return {
            **given,
            "rollout": _finished(folder, "rollout", "trajectories.jsonl"),
            "base": fingerprint(base_model(config, folder.root)),
        }
    if config.stage.name == "eval":
        for evaluation in evaluations(config, folder.root):
            if not config.overwrite:
                refuse_other(folder.path / evaluation.folder, evaluation.config)
    return given


def _finished(folder: RunFolder, stage: str, file: str) -> str:
    """Return the config hash of a finished earlier stage."""
    path = folder.upstream(f"{stage}/{file}", made_by=stage).parent
    summary = read_summary(path)
    if summary is None or summary["status"] != "done":
        status = summary["status"] if summary else "without summary.json"
        raise RunFolderError(f"{path} is not finished ({status}): run `mentor stage={stage}` again, it resumes")
    return str(summary["config_hash"])
