"""Sweeps over one or two numbers are drawn."""

from pathlib import Path

import pytest

from mentor.reporting.figures.sweeps import sweep_figures
from tests.fixtures.sweep_folder import put_point, put_two_weights, read_sweep, report_of


@pytest.mark.parametrize(("keys", "drawn"), [(1, 1), (2, 1), (3, 0)])
def test_one_or_two_numbers_are_drawn(tmp_path: Path, keys: int, drawn: int) -> None:
    for value in (0.1, 0.2):
        put_point(tmp_path / "sweeps" / "s", {f"reward.weights.w{key}": value for key in range(keys)}, value)
    assert len(sweep_figures(report_of(read_sweep(tmp_path)))) == drawn


def test_failed_points_are_marked(tmp_path: Path) -> None:
    put_two_weights(tmp_path / "sweeps" / "s")
    [figure] = sweep_figures(report_of(read_sweep(tmp_path)))
    assert "failed" in figure.svg and "mean over seeds" in figure.svg
