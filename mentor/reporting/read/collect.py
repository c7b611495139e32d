"""Read what the stages of one run left in its folder and put it into one `Report`.

Nothing is measured here: what a stage did not write stays None and is named under `missing`. Of the trajectories of an
evaluation only the scores by task are kept; `trajectories.py` reads those that the page shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from mentor.reporting.read.caveats import caveats
from mentor.reporting.read.domain_means import domain_means, gains
from mentor.reporting.read.methods import against_base, compare, method_results, own_name
from mentor.reporting.read.parity_records import read_parity
from mentor.reporting.read.pooled import add_points, read_source
from mentor.reporting.read.records import EvalResult, Report, StageRecord
from mentor.reporting.read.stages import TRAINING_STAGES
from mentor.reporting.read.sweeps import read_sweeps


def collect(root: Path, title: str) -> Report:
    """Read the run folder `root`. Raises RunFolderError or InputError for a file that is not readable."""
    missing: list[str] = []
    source = read_source(root, missing)
    sweeps = add_points(source, read_sweeps(root, missing), root, missing)
    results, stages = source.results, source.stages
    missing += _not_evaluated(stages, results)
    methods = method_results(results, stages, source.scores)
    pairs = compare(methods, source.scores)
    stages = sorted(stages, key=_started) + sorted(source.evaluations, key=_started)
    return Report(
        title=title,
        run=root.name,
        stages=stages,
        results=results,
        curves=source.curves,
        origins=source.origins,
        methods=against_base(methods, pairs),
        pairs=pairs,
        means=domain_means(methods, source.scores),
        gains=gains(methods, source.scores),
        sweeps=sweeps,
        missing=missing,
        caveats=caveats(stages, results),
        parity=read_parity(root),
    )


def _not_evaluated(stages: Sequence[StageRecord], results: Sequence[EvalResult]) -> list[str]:
    """List what no evaluation of the run has: any similarity of tool use, and the models without a result."""
    missing = []
    if results and all(result.tool_similarity is None for result in results):
        missing.append("eval: no result has a similarity to the teacher's tool use, so none is drawn")
    evaluated = {result.model for result in results} | {own_name(result.model) for result in results}
    trained = [record.folder for record in stages if record.stage in TRAINING_STAGES]
    return missing + [f"eval/{folder}: this model was not evaluated" for folder in trained if folder not in evaluated]


def _started(record: StageRecord) -> tuple[float, str]:
    return (math.inf if record.started is None else record.started, record.folder)
