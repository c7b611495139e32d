"""scripts/bench_step.py: its tables. A run of it is in tests/integration/test_rl_runs.py."""

import pytest

from scripts import bench_step
from scripts.step_benchmark.steps import PHASES, Shape, Step


def step(seconds: float, sampled: int, **parts: float) -> Step:
    """A step of six equal phases."""
    return Step({**dict.fromkeys(PHASES, seconds), **parts}, sampled, 10 * sampled)


STEPS = {
    "now": [step(1.0, 100, **{"rollout/decode": 0.5}), step(2.0, 100, **{"rollout/decode": 0.25}), step(3.0, 100)],
    "TRL": [step(4.0, 50)],
}


def test_seconds_are_medians_and_only_known_parts_are_shown():
    table = bench_step.step_table(STEPS, Shape(prompts=4, group_size=2))
    assert table.title == "Seconds of a step of 4 x 2, medians (of steps: 3, 1)"
    assert table.columns == ("phase", "now", "TRL")
    assert table.rows == [
        ["rollout", 2.0, 4.0],
        ["- decode", 0.375, ""],
        *([phase, 2.0, 4.0] for phase in PHASES[1:]),
        ["whole step", 12.0, 24.0],
        ["sampled tokens", 100, 50],
        ["trained tokens", 1000, 500],
    ]


def test_ratios_are_of_the_medians_per_step_and_token():
    rows = {row[0]: row[1:] for row in bench_step.ratio_table(STEPS).rows}
    assert rows["a step"] == [12e6, 2.0]
    assert rows["a sampled token"] == [pytest.approx(12e4), pytest.approx(4.0)]
    assert rows["update, a trained token"] == [pytest.approx(2000), pytest.approx(4.0)]


def test_the_update_is_compared_with_the_largest_products():
    measured = {
        "1,024 cubed": [(50.0, 90.0), (60.0, 100.0), (70.0, 110.0)],
        "2,048 cubed": [(80.0, 70.0)],
        "LM head": [(200.0, 200.0)],
    }
    found = {"now": STEPS["now"], "before": [step(4.0, 50)], "TRL": STEPS["TRL"]}
    machine, update = bench_step.product_tables(found, measured, {"done": 60.0, "unshared": 100.0})
    assert machine.rows == [("1,024 cubed", 60.0, 100.0), ("2,048 cubed", 80.0, 70.0), ("LM head", 200.0, 200.0)]
    assert "limit is 80 GFLOP/s by torch.mm, 100 by the policy's" in update.title
    assert update.rows == [
        ["now", 60.0, 100.0, 30.0, "38 %", "30 %", "62 %", "50 %"],  # 2 s
        ["before", 100.0, 100.0, 25.0, "31 %", "25 %", "31 %", "25 %"],  # 4 s
    ]


def test_a_column_has_a_name_and_keys():
    settings = bench_step.parse(["--beside", "2 x 1=trainer.num_processes=2 launcher.threads=1", "seed=3"])
    assert settings.beside == [("2 x 1", ["trainer.num_processes=2", "launcher.threads=1"])]
    assert settings.overrides == ["seed=3"]


@pytest.mark.parametrize(
    "argument",
    [
        "--steps=0",
        "--group-size=0",
        "--threads=0",
        "--sampler=none",
        "--beside=two",
        "--beside=now=seed=1",
        "--beside==a",
    ],
)
def test_a_measurement_of_nothing_is_refused(argument: str):
    with pytest.raises(SystemExit, match="2"):
        bench_step.parse([argument])
