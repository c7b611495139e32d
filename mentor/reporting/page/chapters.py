"""The chapters of the report in the order to read them: which tables and figures each holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mentor.reporting.figures.curves import MAX_POINTS
from mentor.reporting.figures.rendering import Drawing
from mentor.reporting.read.records import Report
from mentor.reporting.tables.differences import difference_tables, intro
from mentor.reporting.tables.results import accuracy_tables, detail_table, tool_tables
from mentor.reporting.tables.stages import cost_table, method_cost_table, provenance_table, versions_table
from mentor.reporting.tables.sweeps import sweep_tables
from mentor.reporting.tables.table import Table
from mentor.reporting.tables.tool_use import lens_tables


@dataclass(frozen=True)
class Chapter:
    """A part of the report. `more` names the fold that holds its tables and figures that are not `main`."""

    id: str
    title: str
    tables: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()
    intro: str = ""
    more: str = ""


def chapters_of(report: Report, drawings: list[Drawing]) -> list[Chapter]:
    """The parts of the report in the order to read them; the last ones are for looking things up."""

    def drawn(chapter: str) -> list[Drawing]:
        return [drawing for drawing in drawings if drawing.chapter == chapter]

    return [
        Chapter("results", "Results", accuracy_tables(report), drawn("results"), more="Other decoding modes"),
        Chapter(
            "differences",
            "Which differences are real",
            difference_tables(report),
            intro=intro(report),
            more="Other decoding modes, and every test in full",
        ),
        Chapter(
            "curves",
            "Learning curves",
            drawings=drawn("curves"),
            intro="A line is the mean over the training seeds of a method, its band reaches from the lowest to the "
            f"highest seed. A curve of more than {MAX_POINTS} steps is drawn as means of equal blocks of steps; "
            "results.json has every step of every seed.",
            more="All other metrics",
        ),
        Chapter(
            "sweeps",
            "Sweeps",
            sweep_tables(report),
            drawn("sweeps"),
            intro="A setting is what the points of a sweep share beside the seed; n counts its points that are done. "
            "Two swept numbers are drawn as a map, one as a line with a band from the lowest to the highest seed.",
            more="Every point",
        ),
        Chapter(
            "similarity",
            "Tool use and accuracy",
            drawings=drawn("similarity"),
            intro="A point is one model on one split; the line through it is the 95 % interval of its accuracy. Splits "
            "differ in difficulty, so compare points of one split (see the table of all results).",
            more="Other decoding mode",
        ),
        Chapter("tools", "Which tools were called", tool_tables(report), drawn("tools"), more="Other decoding mode"),
        Chapter(
            "lens", "Tool use beside the teacher's", lens_tables(report), more="Other benchmarks and decoding modes"
        ),
        Chapter("cost", "Cost", [method_cost_table(report), cost_table(report)], more="Every stage folder"),
        Chapter("details", "All results", [detail_table(report)], more="Every model, split and decoding mode"),
        Chapter("provenance", "Provenance", [provenance_table(report), versions_table(report)]),
    ]
