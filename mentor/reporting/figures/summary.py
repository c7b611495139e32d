"""The first picture of a report, in and out of domain by method, and the map of gains over configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mentor.reporting.figures.rendering import INK, ReportFigure, percent_axis, render
from mentor.reporting.read.methods import configuration_of, own_name
from mentor.reporting.read.order import DOMAINS, distinct, settings
from mentor.reporting.read.records import MethodResult, Pair, Report
from mentor.reporting.tables.differences import adjusted_interval_text, points
from mentor.reporting.tables.table import SIGNS

LOOKS = {"id": ("o", "#3f83c8", 0.2), "ood": ("^", "#d9772b", -0.2), "unknown": ("D", "#888888", 0.0)}
LOSS, NONE, GAIN = (163, 50, 44), (240, 240, 236), (26, 107, 69)  # ends and middle of the map's colours
MAP_REACH = 0.3  # a gain of so many shares has the full colour


def summary_figures(report: Report) -> list[ReportFigure]:
    """Draw the accuracy in and out of domain by method, and where there are several configurations a map of gains."""
    shown = settings(report.means)
    if not shown:
        return []
    means = [m for m in report.means if m.setting == shown[0]]
    figures = [
        render(
            "summary",
            f"Accuracy by method, in and out of domain, {shown[0]}, with 95 % intervals",
            _summary_painter(means),
            chapter="verdict",
            folders=distinct(folder for m in means for folder in m.folders),
            height=0.6 + 0.3 * len(distinct(m.method for m in means)),
            grid="x",
        )
    ]
    for domain, label in DOMAINS.items():
        gains = [g for g in report.gains if (g.domain, g.setting) == (domain, shown[0])]
        rows = distinct(configuration_of(g.first) for g in gains)
        if len(rows) > 1:
            figures.append(
                render(
                    f"map-{domain}",
                    f"{label}: gain over {own_name(gains[0].second)} in points, {shown[0]}",
                    _map_painter(gains, rows),
                    chapter="verdict",
                    folders=(),
                    height=0.9 + 0.4 * len(distinct(own_name(g.first) for g in gains)),
                    grid="",
                )
            )
    return figures


def _summary_painter(means: Sequence[MethodResult]) -> Callable[[Axes], None]:
    """A row per method, a marker per domain with its interval."""
    methods = distinct(m.method for m in means)

    def paint(axes: Axes) -> None:
        for domain, label in DOMAINS.items():
            rows = [m for m in means if m.domain == domain]
            if not rows:
                continue
            marker, color, shift = LOOKS[domain]
            x = [100 * m.accuracy for m in rows]
            reach = [[100 * (m.accuracy - m.low) for m in rows], [100 * (m.high - m.accuracy) for m in rows]]
            y = [methods.index(m.method) - shift for m in rows]
            axes.errorbar(x, y, xerr=reach, fmt=marker, color=color, markersize=5, elinewidth=1.2, label=label)
        axes.set_yticks(range(len(methods)), methods)
        axes.set_ylim(len(methods) - 0.5, -0.5)
        percent_axis(axes.xaxis)
        axes.set_xlabel("% right")

    return paint


def _map_painter(gains: Sequence[Pair], configurations: Sequence[str]) -> Callable[[Axes], None]:
    """A column per configuration, a row per method: the gain, its adjusted interval and its sign."""
    methods = distinct(own_name(g.first) for g in gains)

    def paint(axes: Axes) -> None:
        for gain in gains:
            x, y = configurations.index(configuration_of(gain.first)), methods.index(own_name(gain.first))
            color, ink = _shade(gain.difference)
            axes.add_patch(
                Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=color, edgecolor="#888888", linewidth=0.6)
            )
            text = f"{points(gain.difference)} {SIGNS.get(gain.conclusion, '')}\n"
            text += adjusted_interval_text(gain)
            axes.text(x, y, text, ha="center", va="center", fontsize=7, color=ink)
        axes.set_xticks(range(len(configurations)), [name or "run" for name in configurations])
        axes.set_yticks(range(len(methods)), methods)
        axes.set_xlim(-0.5, len(configurations) - 0.5)
        axes.set_ylim(len(methods) - 0.5, -0.5)
        axes.tick_params(length=0, labelcolor=INK)

    return paint


def _shade(difference: float) -> tuple[str, str]:
    """The colour of a gain and a text colour that reads on it."""
    place = min(1.0, abs(difference) / MAP_REACH)
    end = GAIN if difference > 0 else LOSS
    mixed = [round(a + place * (b - a)) for a, b in zip(NONE, end, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed), "#ffffff" if place > 0.55 else "#000000"
