"""Accuracy of the methods with its intervals, a figure per domain and setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from mentor.reporting.figures.rendering import Colors, ReportFigure, percent_axis, render
from mentor.reporting.read.order import DOMAINS, distinct, settings
from mentor.reporting.read.records import MethodResult, Report

MARKERS = "osD^vPX*"


def accuracy_figures(report: Report, colors: Colors) -> list[ReportFigure]:
    """Draw one figure per domain and setting, with the methods side by side for each benchmark."""
    shown = settings(report.results)
    figures = []
    for setting in shown:
        for domain, label in DOMAINS.items():
            chosen = [m for m in report.methods if (m.domain, m.setting) == (domain, setting)]
            if chosen:
                figure = render(
                    f"accuracy-{domain}-{setting}",
                    f"{label}: accuracy with 95 % intervals, {setting}",
                    _accuracy_painter(chosen, colors),
                    chapter="results",
                    folders=distinct(folder for m in chosen for folder in m.folders),
                    main=setting == shown[0],
                    height=0.6 + 0.14 * len(chosen) + 0.16 * len(distinct((m.benchmark, m.split) for m in chosen)),
                    grid="x",
                )
                figures.append(figure)
    return figures


def _accuracy_painter(results: Sequence[MethodResult], colors: Colors) -> Callable[[Axes], None]:
    """A row per benchmark, methods one below the other in it."""
    columns = distinct((m.benchmark, m.split) for m in results)
    methods = distinct(m.method for m in results)

    def paint(axes: Axes) -> None:
        for index, method in enumerate(methods):
            shift = 0.8 * ((index + 0.5) / len(methods) - 0.5)
            rows = [m for m in results if m.method == method]
            y = [columns.index((m.benchmark, m.split)) + shift for m in rows]
            x = [100 * m.accuracy for m in rows]
            reach = [[100 * (m.accuracy - m.low) for m in rows], [100 * (m.high - m.accuracy) for m in rows]]
            marker = MARKERS[index % len(MARKERS)]
            axes.errorbar(x, y, xerr=reach, fmt=marker, color=colors[method], markersize=4, elinewidth=1, label=method)
        axes.set_yticks(range(len(columns)), [f"{benchmark}\n{split}" for benchmark, split in columns])
        axes.set_ylim(len(columns) - 0.5, -0.5)
        percent_axis(axes.xaxis)
        axes.set_xlabel("%")

    return paint
