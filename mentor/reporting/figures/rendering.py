"""Render the figures of the report in one style, as SVG for the page and as PNG for other uses.

In the SVG, text and axes take the page's colour, so it reads on light and dark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from mentor.reporting.read.records import EvalResult

INK = "#22262b"  # of text and axes; `currentColor` in the SVG
Colors = Mapping[str, str]  # by model or folder, the same in every figure
COLORS = ("#3f83c8", "#d9772b", "#2f9e73", "#c25a9c", "#a08328", "#7a6fd0", "#c9504b", "#3d97ad")  # on light and dark
WIDTH = 4.4  # inches; narrow, so that text stays readable on a phone
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


@dataclass(frozen=True)
class ReportFigure:
    """`name` is a file stem, `svg` an element to put into a page, `main` whether it is shown without unfolding.

    `png`: of a main figure only. `chapter`: the part of the report it belongs to. `folders`: whose provenance the
    caption points to.
    """

    name: str
    title: str
    svg: str
    png: bytes | None
    main: bool
    chapter: str
    folders: tuple[str, ...]


def render(
    name: str,
    title: str,
    paint: Callable[[Axes], None],
    *,
    chapter: str,
    folders: Sequence[str],
    main: bool = True,
    height: float = 2.5,
    grid: str = "y",
) -> ReportFigure:
    """Render one pair of axes with the legend below. height: inches, without the legend. grid: "" for none."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        paint(axes)
        if grid:
            axes.grid(axis=grid, color="#888888", alpha=0.25, linewidth=0.6)  # type: ignore[arg-type]
        axes.set_axisbelow(True)
        handles, labels = axes.get_legend_handles_labels()
        rows = (len(labels) + 1) // 2
        figure.set_size_inches(WIDTH, height + 0.2 * rows)
        if labels:
            figure.legend(handles, labels, loc="outside lower center", ncols=min(2, len(labels)), frameon=False)
        _lay_out(figure)
        png = _png(figure, axes) if main else None
        svg = io.StringIO()
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return ReportFigure(stem, title, _for_page(svg.getvalue()), png, main, chapter, tuple(folders))


def _png(figure: Figure, axes: Axes) -> bytes:
    """Draw the figure without the lines that a reader of the page may choose."""
    chosen_later = [
        artist for artist in axes.get_children() if (artist.get_gid() or "").startswith(line_id("seed", ""))
    ]
    for artist in chosen_later:
        artist.set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=170, facecolor="white")
    for artist in chosen_later:
        artist.set_visible(True)
    return file.getvalue()


def _lay_out(figure: Figure) -> None:
    """Once for both files: saving a figure that has a layout engine draws it twice."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine(None)


def interval_bars(results: Sequence[EvalResult]) -> list[list[float]]:
    """Return how far the 95 % interval reaches below and above each accuracy, in percent; 0 where it is unknown."""
    below = [0.0 if r.low is None or r.accuracy is None else 100 * max(0.0, r.accuracy - r.low) for r in results]
    above = [0.0 if r.high is None or r.accuracy is None else 100 * max(0.0, r.high - r.accuracy) for r in results]
    return [below, above]


def percent_axis(axis: Axis) -> None:
    """Scale an axis from 0 to 100, with room for whole markers at both ends."""
    axis.set_view_interval(-2.5, 102.5, ignore=True)
    axis.set_ticks(range(0, 101, 20))


def line_id(kind: str, name: str) -> str:
    """Build the id of a line for the page. kind: `method`, or `seed` for a line shown only when it is chosen."""
    return f"line:{kind}:{name}"


def _for_page(svg: str) -> str:
    """The <svg> element alone, without a fixed size, in the page's text colour, paths to a hundredth of a point."""
    element = svg[svg.index("<svg") :]
    head, rest = element.split(">", 1)
    head = re.sub(r'\s(?:width|height)="[^"]*"', "", head)
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    rest = re.sub(r'\sd="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), rest)
    rest = rest.replace('id="line:', 'data-line="')
    return f'{head} aria-hidden="true">{rest}'.replace(INK, "currentColor")
