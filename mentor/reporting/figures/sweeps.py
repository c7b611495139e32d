"""Figures of sweeps: a heat map over two swept numbers, a line over one; the tables hold sweeps over more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mentor.reporting.figures.rendering import COLORS, INK, ReportFigure, render
from mentor.reporting.read.records import Report, Sweep
from mentor.reporting.read.sweeps import Configuration, configurations, headline_names, numeric

PALE, DARK = "#d3e5fa", "#123a66"  # both ends of the colours: black text reads on the one, white on the other


def sweep_figures(report: Report) -> list[ReportFigure]:
    """Draw each sweep over one or two numbers that has a headline."""
    figures = []
    for sweep in report.sweeps:
        found = configurations(sweep)
        if not numeric(sweep) or len(sweep.keys) > 2 or not any(configuration.headlines for configuration in found):
            continue
        two = len(sweep.keys) == 2
        figures.append(
            render(
                f"sweep-{sweep.id}",
                f"{headline_names(sweep)} over {' and '.join(sweep.keys)}",
                _map_painter(sweep, found) if two else _line_painter(sweep, found),
                chapter="sweeps",
                folders=(),
                height=0.9 + 0.45 * len({configuration.values[1] for configuration in found}) if two else 2.5,
                grid="" if two else "y",
            )
        )
    return figures


def _map_painter(sweep: Sweep, found: Sequence[Configuration]) -> Callable[[Axes], None]:
    """A cell per pair of values, with the mean over seeds and their number; a cross where every point failed."""
    xs, ys = (sorted({configuration.values[axis] for configuration in found}) for axis in (0, 1))
    means = [configuration.mean for configuration in found if configuration.mean is not None]
    low, high = min(means), max(means)

    def paint(axes: Axes) -> None:
        for configuration in found:
            x, y = xs.index(configuration.values[0]), ys.index(configuration.values[1])
            place = 0.5 if high == low or configuration.mean is None else (configuration.mean - low) / (high - low)
            shade = _blend(place) if configuration.mean is not None else "none"
            corner = (x - 0.48, y - 0.48)
            axes.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=shade, edgecolor="#888888", linewidth=0.6))
            ink = INK if configuration.mean is None else "#000000" if place < 0.6 else "#ffffff"
            axes.text(x, y, _cell_text(configuration), ha="center", va="center", fontsize=8, color=ink)
        axes.set_xticks(range(len(xs)), [f"{value:g}" for value in xs])
        axes.set_yticks(range(len(ys)), [f"{value:g}" for value in ys])
        axes.set_xlim(-0.5, len(xs) - 0.5)
        axes.set_ylim(-0.5, len(ys) - 0.5)
        axes.set_xlabel(sweep.keys[0])
        axes.set_ylabel(sweep.keys[1])

    return paint


def _cell_text(configuration: Configuration) -> str:
    failed = f"\n✕ {configuration.failed} failed" if configuration.failed else ""
    if configuration.mean is None:
        return failed.strip() or "not done"
    return f"{configuration.mean:.3f}\nn = {len(configuration.headlines)}{failed}"


def _blend(place: float) -> str:
    """A colour between PALE (0) and DARK (1)."""
    ends = [[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in (PALE, DARK)]
    return "#" + "".join(f"{round(a + place * (b - a)):02x}" for a, b in zip(*ends, strict=True))


def _line_painter(sweep: Sweep, found: Sequence[Configuration]) -> Callable[[Axes], None]:
    """The mean over seeds, a band from the lowest to the highest, a dot per point, a cross where one failed."""
    known = sorted((c for c in found if c.headlines), key=lambda c: c.values[0])

    def paint(axes: Axes) -> None:
        x = [c.values[0] for c in known]
        axes.plot(x, [fmean(c.headlines) for c in known], color=COLORS[0], label="mean over seeds")
        axes.fill_between(
            x,
            [min(c.headlines) for c in known],
            [max(c.headlines) for c in known],
            color=COLORS[0],
            alpha=0.18,
            linewidth=0,
        )
        dots = [(c.values[0], value) for c in known for value in c.headlines]
        axes.plot(*zip(*dots, strict=True), "o", color=COLORS[0], markersize=3, label="one point")
        failed = [c.values[0] for c in found if c.failed]
        if failed:
            floor = min(value for _, value in dots)
            axes.plot(failed, [floor] * len(failed), "x", color=COLORS[6], label="failed")
        axes.set_xlabel(sweep.keys[0])
        axes.set_ylabel(headline_names(sweep))

    return paint
