"""`stage=report`: tables, figures and trajectories from the files of one run. Nothing is measured here."""

from __future__ import annotations

import time

from mentor.config import Config, ReportStage
from mentor.errors import ConfigError, RunFolderError
from mentor.loggers import Logger
from mentor.reporting import closing_lines, collect, draw, first_sentence, gather, write_report
from mentor.runs.folder import RunFolder
from mentor.stages import StageResult


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Write report.html, report.md, results.json and figures/ into `folder`.

    Raises RunFolderError when the run holds no evaluation.
    """
    if not isinstance(config.stage, ReportStage):
        raise ConfigError(f"stage={config.stage.name} was given to the report stage; accepted: stage=report")
    start = time.perf_counter()
    report = collect(folder.root, config.stage.title)
    if not report.results:
        raise RunFolderError(f"{folder.root / 'eval'} holds no finished evaluation: run `mentor stage=eval` first")
    gathered = gather(folder.root, config.stage.trajectories)
    collected = time.perf_counter()
    drawings = draw(report)
    written, trajectories = write_report(report, drawings, gathered, folder.path)
    for line in report.missing + gathered.missing:
        logger.message(f"missing in this run: {line}")
    page = folder.path / "report.html"
    shown = f"{trajectories.shown:,} of {trajectories.found:,} trajectories"
    for line in [*closing_lines(report), "", first_sentence(report)]:
        logger.message(line)
    logger.message(f"report: {page} ({page.stat().st_size / 1e6:.1f} MB, {shown})")
    return StageResult(
        headline=None,
        counts={
            "models": len({result.model for result in report.results}),
            "results": len(report.results),
            "figures": len(drawings),
            "files": len(written),
            "trajectories": {"found": trajectories.found, "shown": trajectories.shown},
            "missing": len(report.missing + gathered.missing),
        },
        seconds={"collect": collected - start, "write": time.perf_counter() - collected},
    )
