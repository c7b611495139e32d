"""Alarms on metrics worked out by hand."""

from mentor.evaluation.alarms import Alarms


def row(size: float, failed: float, equal: float) -> dict[str, float]:
    return {"advantage/abs_mean": size, "advantage/share_all_fail": failed, "groups/zero_variance": equal}


def test_an_alarm_begins_once_and_looks_back_over_five_steps():
    alarms = Alarms()
    on, lines = alarms.watch(1, row(0.1, 1.0, 0.2))
    assert on == {"alarm/all_fail": 1.0, "alarm/zero_variance": 0.0, "alarm/canary": 0.0}
    (line,) = lines
    assert line.startswith("alarm at step 1: in this step 100% of |advantage| came from groups without")
    on, lines = alarms.watch(2, row(0.1, 0.9, 0.9))
    assert on == {"alarm/all_fail": 1.0, "alarm/zero_variance": 1.0, "alarm/canary": 0.0}
    assert len(lines) == 1 and "55% of the groups had zero variance" in lines[0], "0.2 and 0.9; the first alarm goes on"
    on, lines = alarms.watch(3, row(0.8, 0.0, 0.1))  # all-fail: 0.19 of 1.0 now
    assert not any(on.values()) and not lines


def test_a_resumed_run_looks_back_on_the_steps_before():
    rows = [row(0.1, 1.0, 0.0)] * 7
    on, lines = Alarms(rows).watch(8, row(0.1, 0.0, 0.0))
    assert on["alarm/all_fail"] == 1.0 and not lines, "four of five steps, and it rang before"


def test_a_canary_that_differs_more_than_after_the_first_push_rings():
    alarms = Alarms()
    for step, growth in enumerate((1.0, 1.4, 0.8, 1.9, 1.2), 1):
        assert alarms.watch(step, row(0.0, 0.0, 0.0) | {"sync/canary_growth": growth})[0]["alarm/canary"] == 0.0
    on, lines = alarms.watch(6, row(0.0, 0.0, 0.0) | {"sync/canary_growth": 30.0})
    assert on["alarm/canary"] == 1.0
    assert lines[0].startswith(
        "alarm at step 6: over the last 5 steps the canary's logprobs of policy and sampler differed "
    )
    assert "differed 7.1 times as much as after the first push" in lines[0]
