"""Draw a `Report`: accuracy with its intervals, and one small panel per training metric.

Each figure comes as SVG for the page (text and axes take the page's colour, so it reads on light and dark) and as PNG.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mentor.reporting.collect import Curve, EvalResult, Report
from mentor.reporting.tables import MODES

INK = "#22262b"  # of text and axes; `currentColor` in the SVG
Colors = Mapping[str, str]  # by model or folder, the same in every figure
COLORS = ("#3f83c8", "#d9772b", "#2f9e73", "#c25a9c", "#a08328", "#7a6fd0", "#c9504b", "#4aa3b8")  # on light and dark
LINE_STYLES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX*"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mentor",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

MAIN_METRICS = {
    "reward/mean": "Mean training reward (scales differ by preset)",
    "reward/correct": "Share of correct answers in training",
    "reward/match": "Match with the teacher's tool use",
    "rollout/valid_call_rate": "Share of valid calls",
    "rollout/turns": "Turns of one trajectory",
    "loss/train": "Training loss of pretrain and SFT",
}
"""Shown first, in this order; every other metric a stage logged follows under its own name."""


@dataclass(frozen=True)
class Drawing:
    """`name` is a file stem, `svg` an element to put into a page, `main` whether it is shown without unfolding."""

    name: str
    title: str
    svg: str
    png: bytes
    main: bool


def draw(report: Report) -> list[Drawing]:
    """All figures of the report, in the order to show them."""
    names = dict.fromkeys([r.model for r in report.results] + [curve.folder for curve in report.curves])
    colors = {name: COLORS[index % len(COLORS)] for index, name in enumerate(names)}
    return [*_accuracy_drawings(report, colors), *_curve_drawings(report.curves, colors)]


def _accuracy_drawings(report: Report, colors: Colors) -> list[Drawing]:
    drawings = []
    for benchmark in dict.fromkeys(result.benchmark for result in report.results):
        for mode in MODES:
            chosen = [
                r for r in report.results if (r.benchmark, r.mode) == (benchmark, mode) and r.accuracy is not None
            ]
            if chosen:
                title = f"{benchmark}: accuracy with 95 % intervals, {mode}"
                drawings.append(
                    _drawing(f"accuracy-{benchmark}-{mode}", title, True, _accuracy_painter(chosen, colors))
                )
    return drawings


def _accuracy_painter(results: Sequence[EvalResult], colors: Colors) -> Callable[[Axes], None]:
    """Models side by side over each split; in-domain splits first."""
    splits = list(dict.fromkeys((r.split, r.domain) for r in sorted(results, key=lambda r: r.domain != "id")))
    models = list(dict.fromkeys(r.model for r in results))

    def paint(axes: Axes) -> None:
        for index, model in enumerate(models):
            shift = 0.7 * ((index + 0.5) / len(models) - 0.5)
            rows = [r for r in results if r.model == model and r.accuracy is not None]
            x = [splits.index((r.split, r.domain)) + shift for r in rows]
            y = [100 * (r.accuracy or 0.0) for r in rows]
            below = [100 * ((r.accuracy or 0.0) - r.low) if r.low is not None else 0.0 for r in rows]
            above = [100 * (r.high - (r.accuracy or 0.0)) if r.high is not None else 0.0 for r in rows]
            axes.errorbar(
                x,
                y,
                yerr=[[max(0.0, gap) for gap in below], [max(0.0, gap) for gap in above]],
                fmt=MARKERS[index % len(MARKERS)],
                color=colors[model],
                markersize=4,
                label=model,
            )
        axes.set_xticks(range(len(splits)), [f"{split}\n({domain.upper()})" for split, domain in splits])
        axes.set_xlim(-0.6, len(splits) - 0.4)
        axes.set_ylim(0, 100)
        axes.set_ylabel("%")

    return paint


def _curve_drawings(curves: Sequence[Curve], colors: Colors) -> list[Drawing]:
    found = dict.fromkeys(curve.metric for curve in curves)
    ordered = [metric for metric in MAIN_METRICS if metric in found]
    ordered += sorted(metric for metric in found if metric not in MAIN_METRICS)
    drawings = []
    for metric in ordered:
        chosen = [curve for curve in curves if curve.metric == metric]
        title = MAIN_METRICS.get(metric, metric)
        drawings.append(
            _drawing(metric.replace("/", "-"), title, metric in MAIN_METRICS, _curve_painter(chosen, colors))
        )
    return drawings


def _curve_painter(curves: Sequence[Curve], colors: Colors) -> Callable[[Axes], None]:
    """One line per folder, told apart by line style as well as by its colour."""

    def paint(axes: Axes) -> None:
        for index, curve in enumerate(curves):
            values = [float("nan") if value is None else value for value in curve.values]
            style = LINE_STYLES[index % len(LINE_STYLES)]
            marker = "." if len(values) == 1 else None
            color = colors[curve.folder]
            axes.plot(curve.steps, values, style, color=color, marker=marker, linewidth=1.4, label=curve.folder)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))

    return paint


def _drawing(name: str, title: str, main: bool, paint: Callable[[Axes], None]) -> Drawing:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.0, 3.0), layout="constrained")
        axes = figure.add_subplot()
        paint(axes)
        axes.grid(axis="y", color="#888888", alpha=0.25, linewidth=0.6)
        handles, labels = axes.get_legend_handles_labels()
        rows = (len(labels) + 1) // 2
        figure.set_size_inches(5.0, 2.8 + 0.2 * rows)
        figure.legend(handles, labels, loc="outside lower center", ncols=min(2, len(labels)), frameon=False)
        png, svg = io.BytesIO(), io.StringIO()
        figure.savefig(png, format="png", dpi=150, facecolor="white")
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
    return Drawing(re.sub(r"[^A-Za-z0-9._-]+", "-", name), title, _for_page(svg.getvalue()), png.getvalue(), main)


def _for_page(svg: str) -> str:
    """The <svg> element alone, without a fixed size, in the page's text colour."""
    element = svg[svg.index("<svg") :]
    head, rest = element.split(">", 1)
    head = re.sub(r'\s(?:width|height)="[^"]*"', "", head)
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    return f'{head} aria-hidden="true">{rest}'.replace(INK, "currentColor")
