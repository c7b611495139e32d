"""Draw all figures of a `Report`."""

from __future__ import annotations

from mentor.reporting.figures.accuracy import accuracy_drawings
from mentor.reporting.figures.curves import curve_drawings
from mentor.reporting.figures.rendering import COLORS, Drawing
from mentor.reporting.figures.sweeps import sweep_drawings
from mentor.reporting.figures.tools import similarity_drawings, tool_drawings
from mentor.reporting.read.methods import method_of, trained_folders
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import Report


def draw(report: Report) -> list[Drawing]:
    """All figures of the report, in the order to show them. A method and all its models have one colour."""
    folders = distinct([r.model for r in report.results] + [curve.folder for curve in report.curves])
    trained = trained_folders(report)
    methods = distinct(method_of(folder, trained) for folder in folders)
    colors = {name: COLORS[index % len(COLORS)] for index, name in enumerate(methods)}
    colors |= {folder: colors[method_of(folder, trained)] for folder in folders}
    return [
        *accuracy_drawings(report, colors),
        *curve_drawings(report.curves, colors),
        *sweep_drawings(report),
        *similarity_drawings(report, colors),
        *tool_drawings(report, colors),
    ]
