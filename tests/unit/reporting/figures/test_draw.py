"""Which figures a run has, in which order."""

from pathlib import Path

from mentor.reporting import collect
from mentor.reporting.figures.draw import draw
from mentor.reporting.figures.rendering import COLORS
from tests.fixtures.run_folder import (
    make_run,
)


def test_figures_in_the_order_to_show_them_each_method_in_one_colour(tmp_path: Path) -> None:
    figures = draw(collect(make_run(tmp_path / "demo"), "t"))
    curves = ["reward-mean", "loss-train", "rollout-tokens", "time-a_s", "time-b_s"]
    assert [figure.name for figure in figures] == [
        *("summary", "accuracy-id-sampled", *curves, "similarity-sampled", "tools-calculator-sampled")
    ]
    assert all(COLORS[1] in figure.svg for figure in figures if figure.name in ("accuracy-id-sampled", "reward-mean"))
