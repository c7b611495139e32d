"""Draw a `Report`: accuracy with its intervals, one small panel per training metric, and what tools were used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mentor.reporting.drawing import COLORS, Colors, Drawing, interval_bars, percent_axis, render
from mentor.reporting.records import Curve, EvalResult, Report
from mentor.reporting.tables import MODES, distinct
from mentor.reporting.tool_figures import similarity_drawings, tool_drawings

LINE_STYLES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX*"
MAX_POINTS = 300  # of one curve: about one a pixel, and it keeps the page of a long run small

MAIN_METRICS = {
    "reward/mean": "Mean training reward (scales differ by preset)",
    "reward/correct": "Share of correct answers in training",
    "reward/match": "Match with the teacher's tool use",
    "rollout/valid_call_rate": "Share of valid calls",
    "groups/zero_variance": "Share of dead groups (equal rewards)",
    "advantage/share_all_fail": "Share of |advantage| from groups without a correct answer",
    "policy/entropy": "Entropy of a sampled token (nats)",
    "rollout/turns": "Turns of one trajectory",
    "loss/train": "Training loss of pretrain and SFT",
}
"""Shown first, in this order; every other metric a stage logged follows under its own name."""


def draw(report: Report) -> list[Drawing]:
    """All figures of the report, in the order to show them."""
    names = distinct([r.model for r in report.results] + [curve.folder for curve in report.curves])
    colors = {name: COLORS[index % len(COLORS)] for index, name in enumerate(names)}
    return [
        *_accuracy_drawings(report, colors),
        *_curve_drawings(report.curves, colors),
        *similarity_drawings(report, colors),
        *tool_drawings(report, colors),
    ]


def _accuracy_drawings(report: Report, colors: Colors) -> list[Drawing]:
    drawings = []
    for benchmark in distinct(result.benchmark for result in report.results):
        for mode in MODES:
            chosen = [
                r for r in report.results if (r.benchmark, r.mode) == (benchmark, mode) and r.accuracy is not None
            ]
            if chosen:
                drawing = render(
                    f"accuracy-{benchmark}-{mode}",
                    f"{benchmark}: accuracy with 95 % intervals, {mode}",
                    _accuracy_painter(chosen, colors),
                    chapter="results",
                    folders=distinct(r.folder for r in chosen),
                )
                drawings.append(drawing)
    return drawings


def _accuracy_painter(results: Sequence[EvalResult], colors: Colors) -> Callable[[Axes], None]:
    """Models side by side over each split; in-domain splits first."""
    splits = distinct((r.split, r.domain) for r in sorted(results, key=lambda r: r.domain != "id"))
    models = distinct(r.model for r in results)

    def paint(axes: Axes) -> None:
        for index, model in enumerate(models):
            shift = 0.7 * ((index + 0.5) / len(models) - 0.5)
            rows = [r for r in results if r.model == model]
            x = [splits.index((r.split, r.domain)) + shift for r in rows]
            y = [100 * (r.accuracy or 0.0) for r in rows]
            axes.errorbar(
                x,
                y,
                yerr=interval_bars(rows),
                fmt=MARKERS[index % len(MARKERS)],
                color=colors[model],
                markersize=4,
                label=model,
            )
        axes.set_xticks(range(len(splits)), [f"{split}\n({domain.upper()})" for split, domain in splits])
        axes.set_xlim(-0.6, len(splits) - 0.4)
        percent_axis(axes)
        axes.set_ylabel("%")

    return paint


def _curve_drawings(curves: Sequence[Curve], colors: Colors) -> list[Drawing]:
    found = distinct(curve.metric for curve in curves)
    ordered = [metric for metric in MAIN_METRICS if metric in found]
    ordered += sorted(metric for metric in found if metric not in MAIN_METRICS)
    drawings = []
    for metric in ordered:
        chosen = [curve for curve in curves if curve.metric == metric]
        drawing = render(
            metric.replace("/", "-"),
            MAIN_METRICS.get(metric, metric),
            _curve_painter(chosen, colors),
            chapter="curves",
            folders=distinct(curve.folder for curve in chosen),
            main=metric in MAIN_METRICS,
        )
        drawings.append(drawing)
    return drawings


def _curve_painter(curves: Sequence[Curve], colors: Colors) -> Callable[[Axes], None]:
    """One line per folder, told apart by line style as well as by its colour."""

    def paint(axes: Axes) -> None:
        for index, curve in enumerate(curves):
            steps, values = thinned(curve)
            style = LINE_STYLES[index % len(LINE_STYLES)]
            marker = "." if len(values) == 1 else None
            color = colors[curve.folder]
            axes.plot(steps, values, style, color=color, marker=marker, linewidth=1.4, label=curve.folder)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))

    return paint


def thinned(curve: Curve) -> tuple[list[float], list[float]]:
    """(steps, values) to draw: NaN for a gap, and means of equal blocks of steps where there are too many to see."""
    size = -(-len(curve.steps) // MAX_POINTS)
    steps, values = [], []
    for start in range(0, len(curve.steps), size):
        known = [value for value in curve.values[start : start + size] if value is not None]
        steps.append(fmean(curve.steps[start : start + size]))
        values.append(fmean(known) if known else float("nan"))
    return steps, values
