"""Sweeps: what is swept, what is gathered over seeds, and how it is shown."""

from pathlib import Path

import pytest

from mentor.reporting import collect
from mentor.reporting.figures.sweeps import sweep_drawings
from mentor.reporting.read.records import Report, Sweep
from mentor.reporting.read.sweeps import numeric, read_sweeps, settings_of
from mentor.reporting.tables.sweeps import sweep_tables
from mentor.sweeps.manifest import ManifestEntry, record
from tests.fixtures.run_folder import make_row, write_eval, write_lines


def put(folder: Path, swept: dict, headline: float | None, status="done", error: str | None = None) -> None:
    name = ",".join(f"{key}={value}" for key, value in swept.items())
    number = None if headline is None else {"name": "reward/correct", "value": headline}
    record(folder, ManifestEntry(f"hash of {name}", name, swept, status, number, error))


def the_sweep(root: Path) -> Sweep:
    [sweep] = read_sweeps(root, [])
    return sweep


def shown(sweep: Sweep) -> Report:
    return Report("t", "r", [], [], [], sweeps=[sweep])


def test_points_are_gathered_over_seeds(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "s"
    for seed, value in ((0, 0.25), (1, 0.75)):
        put(folder, {"reward.weights.tool": 0.1, "trainer.steps": 30, "seed": seed}, value)
    put(folder, {"reward.weights.tool": 0.5, "trainer.steps": 30, "seed": 0}, None, "running")
    put(folder, {"reward.weights.tool": 0.5, "trainer.steps": 30, "seed": 0}, None, "failed", "StageError: no")
    sweep = the_sweep(tmp_path)
    assert sweep.keys == ["reward.weights.tool"] and numeric(sweep), "the number of steps is the same everywhere"
    good, bad = settings_of(sweep)
    assert (good.values, good.mean, good.failed, len(good.points)) == ((0.1,), 0.5, 0, 2)
    assert (bad.values, bad.mean, bad.failed, len(bad.points)) == ((0.5,), None, 1, 1), "the newest state counts"
    best, points = sweep_tables(shown(sweep))
    assert [cell.text for cell in best.rows[0]] == ["0.1", "2", "0", "0.5000", "0.2500", "0.7500"]
    assert [cell.text for cell in best.rows[1]] == ["0.5", "0", "1", "–", "–", "–"]
    assert [cell.text for cell in points.rows[2]][1:] == ["failed", "0", "–", "StageError: no"]
    [drawing] = sweep_drawings(shown(sweep))
    assert "failed" in drawing.svg and "mean over seeds" in drawing.svg


@pytest.mark.parametrize(("keys", "drawn"), [(1, 1), (2, 1), (3, 0)])
def test_one_or_two_numbers_are_drawn(tmp_path: Path, keys: int, drawn: int) -> None:
    for value in (0.1, 0.2):
        put(tmp_path / "sweeps" / "s", {f"reward.weights.w{key}": value for key in range(keys)}, value)
    assert len(sweep_drawings(shown(the_sweep(tmp_path)))) == drawn
    assert [len(table.rows) for table in sweep_tables(shown(the_sweep(tmp_path)))] == [2, 2]


def test_names_and_unfinished_sweeps_are_only_listed(tmp_path: Path) -> None:
    put(tmp_path / "sweeps" / "s", {"reward": "sparse"}, 0.5)
    put(tmp_path / "sweeps" / "s", {"reward": "flexible"}, float("nan"))
    sweep = the_sweep(tmp_path)
    assert not numeric(sweep) and [setting.mean for setting in settings_of(sweep)] == [0.5, None]
    assert [table.rows[0][0].text for table in sweep_tables(shown(sweep))] == ["sparse", "reward=sparse"]
    assert read_sweeps(tmp_path / "none", []) == []


def test_a_manifest_of_an_earlier_version_is_said(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "sweeps" / "old" / "manifest.jsonl", [{"point": "seed=0", "status": "done", "headline": 0.5}]
    )
    missing: list[str] = []
    assert read_sweeps(tmp_path, missing) == []
    assert missing == ["sweeps/old/manifest.jsonl: written by an earlier version, so not shown"]


def test_evaluations_of_a_point_stand_beside_it(tmp_path: Path) -> None:
    for weight in (0.1, 0.5):
        put(tmp_path / "sweeps" / "s", {"reward.weights.tool": weight}, weight)
    write_eval(tmp_path / "sweeps" / "s" / "reward.weights.tool=0.5", "rl-flexible-s0", make_row(0.6, 0.5, 0.7))
    report = collect(tmp_path, "t")
    assert report.results == [] and [len(point.results) for point in report.sweeps[0].points] == [0, 1]
    _, points = sweep_tables(report)
    assert points.columns[4] == "calculator/test, sampled"
    assert [row[4].text for row in points.rows] == ["–", "60.0 [50.0, 70.0]"]
    assert any(line.startswith("sweeps/s/reward.weights.tool=0.5/eval/") for line in report.missing)
