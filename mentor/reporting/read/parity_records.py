"""Read what stage=parity found of the models of a run."""

from __future__ import annotations

import json
from pathlib import Path

from mentor.errors import InputError
from mentor.reporting.read.records import Parity
from mentor.runs.evaluations import fingerprint, run_models
from mentor.runs.folder import PARITY
from mentor.runs.model_folders import model_name


def read_parity(root: Path) -> list[Parity]:
    """Read parity/*.json, by model. Raises InputError for a file that is not as stage=parity writes it."""
    weights = {model_name(model): fingerprint(model) for model in run_models(root)}
    found = []
    for path in sorted((root / PARITY).glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            current = weights.get(path.stem, record["weights"]) == record["weights"]
            own = (record[key] for key in ("differences", "compared", "logprob_gap", "ended"))
            found.append(Parity(record["model"], record["passed"], current, *own))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is not what stage=parity writes ({error!r}): run it again") from None
    return found
