"""Draw all figures of a `Report`."""

from __future__ import annotations

from mentor.reporting.figures.accuracy import accuracy_figures
from mentor.reporting.figures.curves import curve_figures
from mentor.reporting.figures.rendering import COLORS, ReportFigure
from mentor.reporting.figures.summary import summary_figures
from mentor.reporting.figures.sweeps import sweep_figures
from mentor.reporting.figures.token_curves import token_figures
from mentor.reporting.figures.tools import similarity_figures, tool_figures
from mentor.reporting.read.methods import method_of, trained_folders
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import Report


def draw(report: Report) -> list[ReportFigure]:
    """Draw all figures of the report in the order to show them. A method and its models share one colour."""
    folders = distinct([r.model for r in report.results] + [curve.folder for curve in report.curves])
    trained = trained_folders(report)
    methods = distinct(method_of(folder, trained) for folder in folders)
    colors = {name: COLORS[index % len(COLORS)] for index, name in enumerate(methods)}
    colors |= {folder: colors[method_of(folder, trained)] for folder in folders}
    return [
        *summary_figures(report),
        *accuracy_figures(report, colors),
        *token_figures(report.curves, colors),
        *curve_figures(report.curves, colors),
        *sweep_figures(report),
        *similarity_figures(report, colors),
        *tool_figures(report, colors),
    ]
