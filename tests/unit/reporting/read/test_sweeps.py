"""Sweeps: what is swept, and which points are one configuration."""

from pathlib import Path

from mentor.reporting.read.sweeps import configurations, headline_names, numeric, read_sweeps
from tests.fixtures.run_folder import write_lines
from tests.fixtures.sweep_folder import put_point, put_two_weights, read_sweep


def test_points_that_differ_in_the_seed_alone_are_one_configuration(tmp_path: Path) -> None:
    put_two_weights(tmp_path / "sweeps" / "s")
    sweep = read_sweep(tmp_path)
    assert sweep.keys == ["reward.weights.tool"] and numeric(sweep), "the number of steps is the same everywhere"
    good, bad = configurations(sweep)
    assert (good.values, good.mean, good.failed, len(good.points)) == ((0.1,), 0.5, 0, 2)
    assert (bad.values, bad.mean, bad.failed, len(bad.points)) == ((0.5,), None, 1, 1), "the newest state counts"
    assert headline_names(sweep) == "reward/correct"


def test_names_are_no_numbers_and_a_headline_may_be_unknown(tmp_path: Path) -> None:
    put_point(tmp_path / "sweeps" / "s", {"reward": "sparse"}, 0.5)
    put_point(tmp_path / "sweeps" / "s", {"reward": "flexible"}, float("nan"))
    sweep = read_sweep(tmp_path)
    assert not numeric(sweep) and [configuration.mean for configuration in configurations(sweep)] == [0.5, None]
    assert read_sweeps(tmp_path / "none", []) == []


def test_a_manifest_of_an_earlier_version_is_said(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "sweeps" / "old" / "manifest.jsonl", [{"point": "seed=0", "status": "done", "headline": 0.5}]
    )
    missing: list[str] = []
    assert read_sweeps(tmp_path, missing) == []
    assert missing == ["sweeps/old/manifest.jsonl: written by an earlier version, so not shown"]
