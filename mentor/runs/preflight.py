"""What a stage needs from earlier stages, looked at before anything is written or started. Loads no model."""

from __future__ import annotations

from mentor.config import Config
from mentor.errors import RunFolderError
from mentor.runs.base_model import base_model
from mentor.runs.evaluations import evaluations, fingerprint
from mentor.runs.folder import RunFolder, refuse_other
from mentor.runs.provenance import read_summary


def preflight(config: Config, folder: RunFolder) -> dict[str, str]:
    """What identifies the upstream files this stage reads; it goes into the stage's config hash, so that a stage is
    not taken as done after its input was made anew. Raises RunFolderError or InputError for what is missing.
    """
    if config.stage.name in ("sft", "rl"):
        return {
            "rollout": _finished(folder, "rollout", "trajectories.jsonl"),
            "base": fingerprint(base_model(config, folder.root)),
        }
    if config.stage.name == "eval":
        for evaluation in evaluations(config, folder.root):
            if not config.overwrite:
                refuse_other(folder.path / evaluation.folder, evaluation.config)
    return {}


def _finished(folder: RunFolder, stage: str, file: str) -> str:
    """The config hash of a finished upstream stage."""
    path = folder.upstream(f"{stage}/{file}", made_by=stage).parent
    summary = read_summary(path)
    if summary is None or summary["status"] != "done":
        status = summary["status"] if summary else "without summary.json"
        raise RunFolderError(f"{path} is not finished ({status}): run `mentor stage={stage}` again, it resumes")
    return str(summary["config_hash"])
