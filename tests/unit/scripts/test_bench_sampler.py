"""scripts/bench_sampler.py: what is counted, and what is refused; a run of it is in the tests of sampler=vllm."""

import sys

import pytest

from mentor.types import StopReason, Task, Tokens, Trajectory
from scripts import bench_sampler


def test_every_turn_has_all_tokens_before_it_as_its_prompt():
    tokens = Tokens()
    tokens.append_context([1, 2])
    tokens.append_sampled([3, 4, 5], [-1.0] * 3)
    tokens.append_context([6])
    tokens.append_sampled([7], [-1.0])
    trajectory = Trajectory(Task("t", "?", ("1",), ""), [], "[]", StopReason.ANSWERED, [], tokens)
    assert list(bench_sampler.turns_of(trajectory)) == [([1, 2], 3), ([1, 2, 3, 4, 5, 6], 1)]


@pytest.mark.parametrize("argument", ["--rounds=0", "--prompts=0", "--group-size=-1"])
def test_a_measurement_of_nothing_is_refused(
    argument: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["bench_sampler.py", argument])
    with pytest.raises(SystemExit, match="2"):
        bench_sampler.main()
    assert "accepted: a whole number of 1 or more" in capsys.readouterr().err
