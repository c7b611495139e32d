"""scripts/bench_sweep.py: what it refuses; its numbers need two idle cores."""

import pytest

from scripts import bench_sweep


def test_arguments_and_their_defaults():
    assert vars(bench_sweep.parse([])) == {"stage": "rl", "steps": 4, "rounds": 1, "json": None}


def test_both_ways_are_compared_by_their_medians():
    table = bench_sweep.table({1: [60.0, 62.0, 70.0], 2: [31.0, 30.0, 50.0]}, "pretrain", 40)
    assert [row[1:] for row in table.rows] == [(62.0, 60.0, 70.0, 1.0), (31.0, 30.0, 50.0, 0.5)]


@pytest.mark.parametrize("argument", ["--rounds=0", "--steps=-1"])
def test_a_measurement_of_nothing_is_refused(argument: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        bench_sweep.parse([argument])
    assert "accepted: a whole number of 1 or more" in capsys.readouterr().err
