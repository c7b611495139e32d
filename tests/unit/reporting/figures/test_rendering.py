"""One figure as SVG for the page and PNG for other uses."""

import pytest
from matplotlib.axes import Axes

from mentor.reporting.figures.rendering import INK, interval_bars, line_id, render
from tests.fixtures.report_records import make_result


def paint(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], label="line", gid=line_id("method", "x"))
    axes.plot([0, 1], [1, 0], gid=line_id("seed", "x-s0"))


def test_the_page_gets_an_svg_in_its_own_colours() -> None:
    figure = render("a name/with:signs", "Title", paint, chapter="curves", folders=["f"], main=False)
    assert (figure.name, figure.title, figure.folders, figure.main) == ("a-name-with-signs", "Title", ("f",), False)
    assert figure.svg.startswith("<svg") and INK not in figure.svg and "currentColor" in figure.svg
    assert 'data-line="method:x"' in figure.svg and 'data-line="seed:x-s0"' in figure.svg
    assert "<metadata" not in figure.svg and figure.png is None


def test_a_main_figure_is_an_image_too_without_the_lines_to_choose() -> None:
    def without_seed(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], label="line", gid=line_id("method", "x"))
        axes.plot([0, 1], [1, 0], alpha=0)

    shown = [render("name", "Title", draw, chapter="curves", folders=["f"]).png for draw in (paint, without_seed)]
    assert shown[0] is not None and shown[0].startswith(b"\x89PNG") and shown[0] == shown[1]


def test_bars_reach_from_the_accuracy_to_the_ends_of_the_interval() -> None:
    below, above = interval_bars([make_result("m", 0.5, low=0.25, high=0.875), make_result("m", 0.0, low=None)])
    assert below == pytest.approx([25.0, 0.0]) and above == pytest.approx([37.5, 90.0])
