"""Find the tokenizer.json of the model that wrote a trajectory. The tokenizers library reads it; no model is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mentor.config import load
from mentor.errors import MentorError
from mentor.reporting.read.trajectories import Place
from mentor.runs.base_model import base_model
from mentor.runs.folder import stored_config
from mentor.runs.provenance import read_summary

TOKENIZER_NAME = "tokenizer.json"


def tokenizer_of(place: Place) -> Path | None:
    """Find the tokenizer.json of the model that wrote the trajectory at `place`; None where there is no such file.

    In training that is the stage's own model, or its base while it has none; in evaluation the evaluated model.
    """
    if place.kind == "training":
        stage = place.path.parents[1]
        return _first([stage / "model", *_base(stage)])
    folder = place.path.parent
    given = (read_summary(folder) or {}).get("model_path")
    return _first([folder.parents[2] / folder.parent.name / "model", *([Path(given)] if given else [])])


def _first(models: Iterable[Path]) -> Path | None:
    return next((model / TOKENIZER_NAME for model in models if (model / TOKENIZER_NAME).is_file()), None)


def _base(stage: Path) -> list[Path]:
    """The local folder a stage started from, if its config names one that is still there."""
    config = stored_config(stage)
    if config is None:
        return []
    try:
        base = base_model(load(config), stage.parent)
    except MentorError:  # the base was moved, or the config is another version's: the page shows ids and says so
        return []
    return [base] if isinstance(base, Path) else []
