"""Tables of sweeps: configurations, points, and the evaluations of a point."""

from pathlib import Path

import pytest

from mentor.reporting import collect
from mentor.reporting.tables.sweeps import sweep_tables
from tests.fixtures.run_folder import make_row, write_eval
from tests.fixtures.sweep_folder import put_point, put_two_weights, read_sweep, report_of


def test_configurations_by_their_headline_and_every_point(tmp_path: Path) -> None:
    put_two_weights(tmp_path / "sweeps" / "s")
    best, points = sweep_tables(report_of(read_sweep(tmp_path)))
    assert [cell.text for cell in best.rows[0]] == ["0.1", "2", "0", "0.5000", "0.2500", "0.7500"]
    assert [cell.text for cell in best.rows[1]] == ["0.5", "0", "1", "–", "–", "–"]
    assert [cell.text for cell in points.rows[2]][1:] == ["failed", "0", "–", "StageError: no"]


@pytest.mark.parametrize("keys", [1, 2, 3])
def test_any_number_of_keys_is_listed(tmp_path: Path, keys: int) -> None:
    for value in (0.1, 0.2):
        put_point(tmp_path / "sweeps" / "s", {f"reward.weights.w{key}": value for key in range(keys)}, value)
    assert [len(table.rows) for table in sweep_tables(report_of(read_sweep(tmp_path)))] == [2, 2]


def test_names_and_unfinished_sweeps_are_listed(tmp_path: Path) -> None:
    put_point(tmp_path / "sweeps" / "s", {"reward": "sparse"}, 0.5)
    put_point(tmp_path / "sweeps" / "s", {"reward": "flexible"}, float("nan"))
    tables = sweep_tables(report_of(read_sweep(tmp_path)))
    assert [table.rows[0][0].text for table in tables] == ["sparse", "reward=sparse"]


def test_evaluations_of_a_point_stand_beside_it(tmp_path: Path) -> None:
    for weight in (0.1, 0.5):
        put_point(tmp_path / "sweeps" / "s", {"reward.weights.tool": weight}, weight)
    write_eval(tmp_path / "sweeps" / "s" / "reward.weights.tool=0.5", "rl-flexible-s0", make_row(0.6, 0.5, 0.7))
    report = collect(tmp_path, "t")
    assert [result.model for result in report.results] == ["reward.weights.tool=0.5 · rl-flexible-s0"]
    assert [len(point.results) for point in report.sweeps[0].points] == [0, 1]
    _, points = sweep_tables(report)
    assert points.columns[4] == "calculator/test, sampled"
    assert [row[4].text for row in points.rows] == ["–", "60.0 [50.0, 70.0]"]
    assert any(line.startswith("sweeps/s/reward.weights.tool=0.5/eval/") for line in report.missing)
