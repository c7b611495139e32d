"""scripts/bench_sweep.py: what it refuses; its numbers need two idle cores."""

import pytest

from scripts import bench_sweep


def test_arguments_and_their_defaults():
    assert vars(bench_sweep.parse([])) == {"stage": "rl", "steps": 4, "rounds": 1}


@pytest.mark.parametrize("argument", ["--rounds=0", "--steps=-1"])
def test_a_measurement_of_nothing_is_refused(argument: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        bench_sweep.parse([argument])
    assert "accepted: a whole number of 1 or more" in capsys.readouterr().err
