"""Read what the stages of one run left in its folder and put it into one `Report`.

Nothing is measured or invented here: what a stage did not write stays None and is named under `missing`. No formatting.
Of the trajectories of an evaluation only the verdicts are kept; `trajectories.py` reads those that the page shows.
"""

from __future__ import annotations

import math
from pathlib import Path

from mentor.jsonl import read_jsonl
from mentor.reporting.read.caveats import notes
from mentor.reporting.read.evaluations import read_evaluations, with_evaluations
from mentor.reporting.read.lineage import origins, with_base
from mentor.reporting.read.methods import against_base, compare, method_results
from mentor.reporting.read.records import Curve, Report, StageRecord
from mentor.reporting.read.stage_records import learning_curves, stage_record
from mentor.reporting.read.summaries import finite, look_for, stage_summary
from mentor.reporting.read.sweeps import read_sweeps

TRAINING_STAGES = ("pretrain", "sft", "rl")
NOT_STAGE_FOLDERS = ("eval", "report", "sweeps")


def collect(root: Path, title: str) -> Report:
    """Everything the run folder `root` holds. Raises RunFolderError or InputError for a file that is not readable."""
    missing: list[str] = []
    stages: list[StageRecord] = []
    curves: list[Curve] = []
    for folder in _stage_folders(root):
        summary = stage_summary(folder, root, missing)
        if summary is None:
            continue
        path = folder / "metrics.jsonl"
        records = finite(list(read_jsonl(path, missing.append))) if path.is_file() else []
        stages.append(stage_record(folder.name, summary, records))
        curves.extend(learning_curves(folder.name, records))
        if summary.get("stage") in TRAINING_STAGES and not records:
            missing.append(f"{folder.name}/metrics.jsonl: no learning curve")
        if summary.get("stage") == "rl":
            look_for(folder / "trajectories" / "trajectories.jsonl", root, missing)
    results, evaluations, scores = read_evaluations(root, missing)
    if results and all(result.tool_similarity is None for result in results):
        missing.append("eval: no result has a similarity to the teacher's tool use, so none is drawn")
    for record in stages:
        if record.stage in TRAINING_STAGES and record.folder not in {result.model for result in results}:
            missing.append(f"eval/{record.folder}: this model was not evaluated")
    results = with_base(results, stages)
    methods = method_results(results, stages)
    pairs, resamples = compare(methods, scores)
    stages = sorted(stages, key=_started) + sorted(evaluations, key=_started)
    return Report(
        title=title,
        run=root.name,
        stages=stages,
        results=results,
        curves=curves,
        origins=origins(results, stages),
        methods=against_base(methods, pairs),
        pairs=pairs,
        resamples=resamples,
        sweeps=[with_evaluations(sweep, root, missing) for sweep in read_sweeps(root, missing)],
        missing=missing,
        notes=notes(stages, results),
    )


def _started(record: StageRecord) -> tuple[float, str]:
    return (math.inf if record.started is None else record.started, record.folder)


def _stage_folders(root: Path) -> list[Path]:
    """Folders of single stages, oldest names first; what starts with a dot is the run's own bookkeeping."""
    if not root.is_dir():
        return []
    return sorted(
        path
        for path in root.iterdir()
        if path.is_dir() and path.name not in NOT_STAGE_FOLDERS and not path.name.startswith(".")
    )
