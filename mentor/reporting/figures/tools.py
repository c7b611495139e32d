"""Figures of tool use: how close it is to the teacher's beside accuracy, and which tools were called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from mentor.reporting.figures.rendering import INK, Colors, ReportFigure, interval_bars, percent_axis, render
from mentor.reporting.read.calls_per_tool import CallsPerTool, calls_per_tool
from mentor.reporting.read.methods import method_of, trained_folders
from mentor.reporting.read.order import MODES, distinct
from mentor.reporting.read.records import EvalResult, Report

DOMAINS = {"id": ("o", "in domain"), "ood": ("^", "out of domain"), "unknown": ("D", "domain unknown")}
BAR = 0.085  # inches; the height of one student's bar


def similarity_figures(report: Report, colors: Colors) -> list[ReportFigure]:
    """Draw accuracy over similarity of tool use, a point per model and split, one figure per mode."""
    figures: list[ReportFigure] = []
    for mode in MODES:
        rows = [r for r in report.results if r.setting == mode]
        points = [r for r in rows if r.tool_similarity is not None and r.accuracy is not None]
        if points:
            left_out = len(rows) - len(points)
            without = f" ({left_out} of {len(rows)} have no similarity)" if left_out else ""
            figure = render(
                f"similarity-{mode}",
                f"Accuracy over similarity of tool use, {mode}{without}",
                _similarity_painter(points, trained_folders(report), colors),
                chapter="similarity",
                folders=distinct(r.folder for r in points),
                main=not figures,
                height=2.9,
                grid="both",
            )
            figures.append(figure)
    return figures


def _similarity_painter(points: Sequence[EvalResult], trained: set[str], colors: Colors) -> Callable[[Axes], None]:
    """Colour by method, marker by domain, a thin line for the 95 % interval of the accuracy."""

    def paint(axes: Axes) -> None:
        for point in points:
            axes.errorbar(
                point.tool_similarity or 0.0,
                100 * (point.accuracy or 0.0),
                yerr=interval_bars([point]),
                fmt=DOMAINS[point.domain][0],
                color=colors[point.model],
                markersize=5,
                elinewidth=0.7,
                alpha=0.9,
            )
        for method in distinct(method_of(point.model, trained) for point in points):
            axes.plot([], [], "s", color=colors[method], markersize=5, label=method)
        for marker, label in (DOMAINS[domain] for domain in DOMAINS if domain in {point.domain for point in points}):
            axes.plot([], [], marker, color=INK, markersize=5, label=label)
        percent_axis(axes.yaxis)
        axes.set_ylabel("accuracy %")
        axes.set_xlabel("similarity to the teacher's tool use (1: the same mix)")

    return paint


def tool_figures(report: Report, colors: Colors) -> list[ReportFigure]:
    """Draw the share of each tool in the calls: the teacher's as a pale bar behind the students' thin ones."""
    return [
        render(
            f"tools-{use.benchmark}-{use.mode}" + (f"-{index}" if index else ""),
            f"{use.benchmark}: share of calls by tool, {use.label}",
            _bars_painter(use, colors),
            chapter="tools",
            folders=use.folders,
            main=use.main,
            height=0.7 + len(use.rows()) * (len(use.students) + 1.5) * BAR,
            grid="x",
        )
        for index, use in _numbered(calls_per_tool(report))
    ]


def _numbered(uses: Sequence[CallsPerTool]) -> list[tuple[int, CallsPerTool]]:
    """Each with how many of the same benchmark and mode came before it."""
    keys = [(use.benchmark, use.mode) for use in uses]
    return [(keys[:place].count(keys[place]), use) for place, use in enumerate(uses)]


def _bars_painter(use: CallsPerTool, colors: Colors) -> Callable[[Axes], None]:
    """A row per tool, most used at the top; every student's bars in the same place of each row."""
    rows = use.rows()
    thin = 1 / (len(use.students) + 1.5)  # of a row's height, which is 1

    def paint(axes: Axes) -> None:
        places = list(range(len(rows)))
        total = sum(use.teacher.values())
        teacher = [100 * calls / total for _, calls, _ in rows]
        band = thin * (len(use.students) + 0.8)
        axes.barh(places, teacher, height=band, color="#888888", alpha=0.35, label="teacher")
        for index, (model, counts) in enumerate(use.students.items()):
            made = sum(counts.values())
            shares = [100 * calls[index] / made if made else 0.0 for _, _, calls in rows]
            shift = thin * (index + 0.5 - len(use.students) / 2)
            axes.barh([place + shift for place in places], shares, height=0.8 * thin, color=colors[model], label=model)
        axes.set_yticks(places, [tool for tool, _, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("% of all calls that ran")

    return paint
