"""Training accuracy over sampled tokens, so that methods are compared at equal budgets: mean and band over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from mentor.reporting.figures.curves import LINE_STYLES
from mentor.reporting.figures.rendering import Colors, ReportFigure, line_id, render
from mentor.reporting.read.methods import method_of
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import Curve

ACCURACY, TOKENS = "reward/correct", "rollout/tokens"
PLACES = 100  # of a budget at which the seeds are averaged
SMOOTHED = 5  # steps of a running mean: one step is a few prompts

Line = NDArray[np.float64]  # (2, steps): sampled tokens so far, accuracy


def token_figures(curves: Sequence[Curve], colors: Colors) -> list[ReportFigure]:
    """Draw one figure if any stage logged both the tokens it sampled and how many answers were right."""
    lines = by_tokens(curves)
    if not lines:
        return []
    return [
        render(
            "accuracy-by-tokens",
            f"Training accuracy over sampled tokens (%, mean of {SMOOTHED} steps)",
            _painter(lines, {curve.folder for curve in curves}, colors),
            chapter="curves",
            folders=list(lines),
        )
    ]


def by_tokens(curves: Sequence[Curve]) -> dict[str, Line]:
    """Return of each folder that has both metrics the accuracy over the tokens sampled so far, steps without one left
    out."""
    found = {(curve.folder, curve.metric): dict(zip(curve.steps, curve.values, strict=True)) for curve in curves}
    lines = {}
    for folder in distinct(curve.folder for curve in curves):
        tokens, accuracy = found.get((folder, TOKENS), {}), found.get((folder, ACCURACY), {})
        spent = np.cumsum([tokens[step] or 0.0 for step in sorted(tokens)])
        steps = [(total, accuracy.get(step)) for step, total in zip(sorted(tokens), spent, strict=True)]
        known = [(total, 100 * value) for total, value in steps if value is not None]
        if known:
            lines[folder] = _smoothed(np.array(known).T)
    return lines


def _smoothed(line: Line) -> Line:
    """A running mean over SMOOTHED steps, over those there are at the ends; of fewer steps over an odd number."""
    size = min(SMOOTHED, line.shape[1] - 1 + line.shape[1] % 2)
    window = np.ones(size)
    means = np.convolve(line[1], window, "same") / np.convolve(np.ones(line.shape[1]), window, "same")
    return np.array([line[0], means])


def band(lines: Sequence[Line]) -> tuple[Line, Line]:
    """Return (2, places) tokens and mean, and (2, places) lowest and highest, over the budget that all reached."""
    places = np.linspace(max(line[0, 0] for line in lines), min(line[0, -1] for line in lines), PLACES)
    values = np.array([np.interp(places, *line) for line in lines])
    return np.array([places, values.mean(axis=0)]), np.array([values.min(axis=0), values.max(axis=0)])


def _painter(lines: dict[str, Line], trained: set[str], colors: Colors) -> Callable[[Axes], None]:
    methods = distinct(method_of(folder, trained) for folder in lines)

    def paint(axes: Axes) -> None:
        for index, method in enumerate(methods):
            mean, edges = band([line for folder, line in lines.items() if method_of(folder, trained) == method])
            color, gid = colors[method], line_id("method", method)
            axes.plot(*mean, LINE_STYLES[index % len(LINE_STYLES)], color=color, linewidth=1.4, label=method, gid=gid)
            axes.fill_between(mean[0], *edges, color=color, alpha=0.18, linewidth=0, gid=gid)
        axes.set_xlabel("sampled tokens")
        axes.set_ylabel("% right")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))

    return paint
