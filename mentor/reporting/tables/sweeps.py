"""Tables of sweeps: configurations by their headline, best first, and every point."""

from __future__ import annotations

import math
from typing import Any

from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import EvalResult, Report, Sweep, SweepPoint
from mentor.reporting.read.sweeps import SEED, Configuration, configurations, headline_names
from mentor.reporting.tables.table import MISSING, Cell, Table, number, percent, plain


def sweep_tables(report: Report) -> list[Table]:
    """Build two tables of each sweep: its configurations, and all its points."""
    tables = []
    for sweep in report.sweeps:
        tables += [_configurations_table(sweep), _points_table(sweep)]
    return tables


def _configurations_table(sweep: Sweep) -> Table:
    found = sorted(configurations(sweep), key=lambda s: -math.inf if s.mean is None else s.mean, reverse=True)
    return Table(
        title=f"Sweep {sweep.id}: configurations by {headline_names(sweep)}",
        caption="Mean over the seeds of a configuration, highest first, with the lowest and the highest seed. The "
        "headline is the number that the stage ended with, not an evaluation on held-out tasks; the best of many "
        "configurations looks better than it is.",
        columns=[*(sweep.keys or ["configuration"]), "done", "failed", headline_names(sweep), "lowest", "highest"],
        rows=[_configuration_row(configuration) for configuration in found],
        text_columns=tuple(range(max(1, len(sweep.keys)))),
    )


def _configuration_row(configuration: Configuration) -> list[Cell]:
    values = configuration.headlines
    counts = [number(len(values)), number(configuration.failed)]
    spread = [number(configuration.mean, 4), *(number(edge(values), 4) if values else MISSING for edge in (min, max))]
    return plain(*([text_of(value) for value in configuration.values] or ["all"]), *counts, *spread)


def _points_table(sweep: Sweep) -> Table:
    columns = distinct((r.benchmark, r.split, r.setting) for point in sweep.points for r in point.results)
    return Table(
        title=f"Sweep {sweep.id}: every point",
        caption="As sweeps/"
        + sweep.id
        + "/manifest.jsonl has them, newest state of each point."
        + (" Accuracy in percent [95 % interval] where a point has an evaluation of its own." if columns else ""),
        columns=[
            *("point", "status", "seed", headline_names(sweep)),
            *(f"{benchmark}/{split}, {setting}" for benchmark, split, setting in columns),
            "error",
        ],
        rows=[_point_row(point, columns) for point in sweep.points],
        text_columns=(0, 1, 4 + len(columns)),
        main=False,
    )


def _point_row(point: SweepPoint, columns: list[tuple[str, str, str]]) -> list[Cell]:
    results = {(r.benchmark, r.split, r.setting): r for r in point.results}
    return plain(
        point.name,
        point.status,
        text_of(point.overrides.get(SEED)),
        number(point.headline, 4),
        *(_accuracy(results.get(column)) for column in columns),
        point.error or MISSING,
    )


def _accuracy(result: EvalResult | None) -> str:
    return MISSING if result is None else f"{percent(result.accuracy)} [{percent(result.low)}, {percent(result.high)}]"


def text_of(value: Any) -> str:
    """Format a swept value as it is typed in a command."""
    if value is None:
        return MISSING
    return f"{value:g}" if isinstance(value, float) else str(value)
