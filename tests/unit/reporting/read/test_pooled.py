"""The points of a sweep in the report of their run: seeds become those of a method, a base a configuration."""

from pathlib import Path

import pytest

from mentor.reporting import collect
from mentor.reporting.read.pooled import MAX_CONFIGURATIONS, PooledRun, add_points, configuration
from mentor.reporting.read.records import Sweep, SweepPoint
from mentor.sweeps.manifest import ManifestEntry, record
from tests.fixtures.pooled_run import write_model, write_sweep
from tests.fixtures.run_folder import make_row, write_eval, write_json

SKILLS = {
    "shy": {"pretrain": 10, "rl-sparse": 20, "rl-flexible": 30},
    "capable": {"pretrain": 15, "rl-sparse": 30, "rl-flexible": 25},
}


def test_seeds_of_a_sweep_are_seeds_of_a_method_and_bases_are_compared_within_themselves(tmp_path: Path) -> None:
    write_sweep(tmp_path, SKILLS)
    report = collect(tmp_path, "t")
    methods = {m.method: m for m in report.methods if m.split == "test"}
    assert list(methods) == [
        *("shy · pretrain", "shy · rl-flexible", "shy · rl-sparse"),
        *("capable · pretrain", "capable · rl-flexible", "capable · rl-sparse"),
    ]
    shy = methods["shy · rl-flexible"]
    assert shy.seeds == [0, 1] and shy.by_seed == [30 / 40, 31 / 40] and shy.base == "shy · pretrain"
    assert {(p.first.split(" · ")[0] == p.second.split(" · ")[0]) for p in report.pairs} == {True}
    gains = {(g.first, g.domain): g.difference for g in report.gains}
    assert gains["shy · rl-flexible", "id"] == pytest.approx(10 / 40)
    assert gains["capable · rl-flexible", "ood"] == pytest.approx(-5 / 40)
    assert ("shy · pretrain", "id") in gains and all(g.second.endswith("rl-sparse") for g in report.gains)
    places = {folder for folder in report.origins if folder.startswith("sweeps/bases/model=shy,seed=1/eval/")}
    assert len(places) == 3 and set(shy.folders) <= set(report.origins)
    assert {c.metric for c in report.curves} == {"reward/correct", "rollout/tokens"}


def test_a_sweep_over_seeds_alone_needs_no_configuration(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"tiny": SKILLS["shy"]}, seeds=3)
    report = collect(tmp_path, "t")
    assert [m.method for m in report.means if m.domain == "id"] == ["pretrain", "rl-flexible", "rl-sparse"]
    assert all(m.seeds == [0, 1, 2] for m in report.means)


def test_what_the_run_holds_itself_keeps_its_names(tmp_path: Path) -> None:
    write_model(tmp_path, "rl-sparse", 0, 12)
    write_sweep(tmp_path, {"tiny": {"rl-sparse": 20}})
    report = collect(tmp_path, "t")
    assert [m.method for m in report.methods if m.split == "test"] == ["rl-sparse", "bases · rl-sparse"]


def test_a_sweep_that_evaluated_nothing_gives_no_names(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"tiny": SKILLS["shy"]})
    record(
        tmp_path / "sweeps" / "stopped", ManifestEntry("0", "model=tiny,seed=0", {"model": "tiny", "seed": 0}, "failed")
    )
    report = collect(tmp_path, "t")
    assert len(report.sweeps) == 2
    assert [m.method for m in report.methods if m.split == "test"] == ["pretrain", "rl-flexible", "rl-sparse"]


def test_a_search_over_many_values_is_not_taken_for_methods(tmp_path: Path) -> None:
    write_sweep(tmp_path, {f"base{n}": {"rl-sparse": 20} for n in range(MAX_CONFIGURATIONS + 1)}, seeds=1)
    report = collect(tmp_path, "t")
    assert report.results == [] and len(report.sweeps[0].points) == MAX_CONFIGURATIONS + 1


def test_a_configuration_leaves_out_the_seed_and_what_names_the_folder() -> None:
    sweep = Sweep("s", ["model", "reward"], [])
    assert configuration(sweep, {"model": "shy", "reward": "strict", "seed": 1}) == "shy"
    two = Sweep("s", ["model", "task.size"], [])
    assert configuration(two, {"model": "shy", "task.size": 50}) == "model=shy task.size=50"
    assert configuration(Sweep("s", ["task.size"], []), {"task.size": 50}) == "task.size=50"
    assert configuration(Sweep("s", ["reward"], []), {"reward": "strict"}) == ""
    assert configuration(Sweep("s", ["reward", "reward.anneal"], []), {"reward.anneal": "run"}) == "reward.anneal=run"


def test_another_model_of_a_name_is_left_out_and_named(tmp_path: Path) -> None:
    """Both points made rl-main-s0, by different rewards: what is shown is the first alone."""
    for reward, right in (("sparse", 20), ("flexible", 30)):
        write_model(tmp_path / f"sweeps/s/reward={reward}", "rl-main", 0, right)
    points = [SweepPoint(f"reward={r}", "done", {"reward": r}, None, None, None) for r in ("sparse", "flexible")]
    missing: list[str] = []
    run = PooledRun()
    add_points(run, [Sweep("s", ["reward"], points)], tmp_path, missing)
    assert {r.accuracy for r in run.results if r.split == "test"} == {20 / 40}
    assert missing[-1:] == [
        "sweeps/s/reward=flexible/rl-main-s0: another result than the rl-main-s0 shown, so left out"
    ]


def test_evaluations_of_a_point_are_read_below_its_folder(tmp_path: Path) -> None:
    write_eval(tmp_path / "sweeps/s/seed=1", "m", make_row(0.5, 0.4, 0.6))
    write_json(tmp_path / "sweeps/s/seed=1/eval/m/gone/config.json", {})
    points = [SweepPoint(f"seed={seed}", "done", {"seed": seed}, None, None, None) for seed in (0, 1)]
    missing: list[str] = []
    [sweep] = add_points(PooledRun(), [Sweep("s", [], points)], tmp_path, missing)
    assert [len(point.results) for point in sweep.points] == [0, 1]
    assert [line.split(":")[0] for line in missing] == [
        "sweeps/s/seed=1/eval/m/calculator/items.jsonl",
        "sweeps/s/seed=1/eval/m/gone/summary.json",
    ]
