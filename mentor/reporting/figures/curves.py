"""Learning curves: per method the mean over its training seeds with a band, and one line per seed to choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mentor.reporting.figures.rendering import Colors, ReportFigure, line_id, render
from mentor.reporting.read.methods import method_of
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import Curve

LINE_STYLES = ("-", "--", "-.", ":")
MAX_POINTS = 300  # of one curve: about one a pixel, and it keeps the page of a long run small

MAIN_METRICS = {
    "reward/mean": "Mean training reward (scales differ by preset)",
    "reward/correct": "Share of correct answers in training",
    "reward/match": "Match with the teacher's tool use",
    "rollout/valid_call_rate": "Share of valid calls",
    "groups/zero_variance": "Share of zero-variance groups (equal rewards)",
    "advantage/share_all_fail": "Share of |advantage| from groups without a correct answer",
    "policy/entropy": "Entropy of a sampled token (nats)",
    "rollout/turns": "Turns of one trajectory",
    "loss/train": "Training loss of pretrain and SFT",
}
"""Shown first, in this order; every other metric a stage logged follows under its own name."""


@dataclass(frozen=True)
class Band:
    """A metric of one method: at every step that a seed logged, the mean, lowest and highest of the known values."""

    method: str
    mean: Curve
    low: Curve
    high: Curve
    seeds: list[Curve]


def curve_figures(curves: Sequence[Curve], colors: Colors) -> list[ReportFigure]:
    """Draw one figure per metric: the main ones first, then all others by name."""
    found = distinct(curve.metric for curve in curves)
    ordered = [metric for metric in MAIN_METRICS if metric in found]
    ordered += sorted(metric for metric in found if metric not in MAIN_METRICS)
    trained = {curve.folder for curve in curves}
    return [
        render(
            metric.replace("/", "-"),
            MAIN_METRICS.get(metric, metric),
            _painter(bands([curve for curve in curves if curve.metric == metric], trained), colors),
            chapter="curves",
            folders=distinct(curve.folder for curve in curves if curve.metric == metric),
            main=metric in MAIN_METRICS,
        )
        for metric in ordered
    ]


def bands(curves: Sequence[Curve], trained: set[str]) -> list[Band]:
    """Build the band of each method from curves of one metric. trained: folders whose `-s<seed>` is a training seed."""
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(method_of(curve.folder, trained), []).append(curve)
    return [_band(method, seeds) for method, seeds in groups.items()]


def _band(method: str, seeds: list[Curve]) -> Band:
    if len(seeds) == 1:
        return Band(method, seeds[0], seeds[0], seeds[0], seeds)
    at: dict[int, list[float]] = {}
    for curve in seeds:
        for step, value in zip(curve.steps, curve.values, strict=True):
            known = at.setdefault(step, [])
            if value is not None:
                known.append(value)
    steps = sorted(at)

    def curve_of(choose: Callable[[list[float]], float]) -> Curve:
        return Curve(method, seeds[0].metric, steps, [choose(at[step]) if at[step] else None for step in steps])

    return Band(method, curve_of(fmean), curve_of(min), curve_of(max), seeds)


def _painter(found: Sequence[Band], colors: Colors) -> Callable[[Axes], None]:
    """Methods differ in line style as well as in colour. The page shows the lines of single seeds on request."""

    def paint(axes: Axes) -> None:
        for index, band in enumerate(found):
            color, style = colors[band.method], LINE_STYLES[index % len(LINE_STYLES)]
            steps, mean = thinned(band.mean)
            marker = "." if len(mean) == 1 else None
            method = line_id("method", band.method)
            axes.plot(steps, mean, style, color=color, marker=marker, linewidth=1.4, label=band.method, gid=method)
            if len(band.seeds) == 1:
                continue
            low, high = thinned(band.low)[1], thinned(band.high)[1]
            axes.fill_between(steps, low, high, color=color, alpha=0.18, linewidth=0, gid=method)
            for seed in band.seeds:
                axes.plot(*thinned(seed), color=color, linewidth=1.1, gid=line_id("seed", seed.folder))
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))

    return paint


def thinned(curve: Curve) -> tuple[list[float], list[float]]:
    """Return (steps, values) to draw: NaN for a gap, and means of equal blocks of steps above MAX_POINTS steps."""
    size = -(-len(curve.steps) // MAX_POINTS)
    steps, values = [], []
    for start in range(0, len(curve.steps), size):
        known = [value for value in curve.values[start : start + size] if value is not None]
        steps.append(fmean(curve.steps[start : start + size]))
        values.append(fmean(known) if known else float("nan"))
    return steps, values
