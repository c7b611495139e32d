"""The chapters of the report in the order to read them: which tables and figures each holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mentor.reporting.figures.curves import MAX_POINTS
from mentor.reporting.figures.rendering import ReportFigure
from mentor.reporting.read.order import settings
from mentor.reporting.read.records import Report
from mentor.reporting.tables.differences import difference_tables, intro
from mentor.reporting.tables.results import accuracy_tables, detail_table, tool_tables
from mentor.reporting.tables.stages import cost_table, method_cost_table, parity_table, provenance_table, versions_table
from mentor.reporting.tables.sweeps import sweep_tables
from mentor.reporting.tables.table import Table
from mentor.reporting.tables.tool_use import tool_use_tables
from mentor.reporting.tables.verdict import first_sentence, gain_table, paragraph


@dataclass(frozen=True)
class Chapter:
    """A part of the report. `more` names the fold that holds its tables and figures that are not `main`. `said`: what
    follows from them, in sentences."""

    id: str
    title: str
    tables: Sequence[Table] = ()
    figures: Sequence[ReportFigure] = ()
    intro: str = ""
    more: str = ""
    said: Sequence[str] = ()


def chapters_of(report: Report, figures: list[ReportFigure]) -> list[Chapter]:
    """Build the chapters in the order to read them; the last ones are for reference."""

    def figures_of(chapter: str) -> list[ReportFigure]:
        return [figure for figure in figures if figure.chapter == chapter]

    shown = next(iter(settings(report.means)), "")
    return [
        Chapter(
            "verdict",
            "Verdict",
            gain_table(report),
            figures_of("verdict"),
            intro=first_sentence(report),
            more="Other decoding modes",
            said=paragraph(report.means, report.gains, shown),
        ),
        Chapter("results", "Results", accuracy_tables(report), figures_of("results"), more="Other decoding modes"),
        Chapter(
            "differences",
            "Which differences are significant",
            difference_tables(report),
            intro=intro(),
            more="Other decoding modes, and every test in full",
        ),
        Chapter(
            "curves",
            "Learning curves",
            figures=figures_of("curves"),
            intro="A line is the mean over the training seeds of a method, its band reaches from the lowest to the "
            f"highest seed. A curve of more than {MAX_POINTS} steps is drawn as means of equal blocks of steps; "
            "results.json has every step of every seed.",
            more="All other metrics",
        ),
        Chapter(
            "sweeps",
            "Sweeps",
            sweep_tables(report),
            figures_of("sweeps"),
            intro="Points that differ in the seed alone are one configuration; n counts its points that are done. Two "
            "swept numbers are drawn as a map, one as a line with a band from the lowest to the highest seed.",
            more="Every point",
        ),
        Chapter(
            "similarity",
            "Tool use and accuracy",
            figures=figures_of("similarity"),
            intro="A point is one model on one split; the line through it is the 95 % interval of its accuracy. Splits "
            "differ in difficulty, so compare points of one split (see the table of all results).",
            more="Other decoding mode",
        ),
        Chapter(
            "tools", "Which tools were called", tool_tables(report), figures_of("tools"), more="Other decoding mode"
        ),
        Chapter(
            "tool-use",
            "Tool use beside the teacher's",
            tool_use_tables(report),
            more="Other benchmarks and decoding modes",
        ),
        Chapter("cost", "Cost", [method_cost_table(report), cost_table(report)], more="Every stage folder"),
        Chapter("details", "All results", [detail_table(report)], more="Every model, split and decoding mode"),
        Chapter("provenance", "Provenance", [provenance_table(report), parity_table(report), versions_table(report)]),
    ]
