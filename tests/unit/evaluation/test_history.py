"""Where the advantage comes from, alarms, and what a run comes to, on groups worked out by hand."""

import json
from pathlib import Path

import pytest

from mentor.algorithm.advantage import AdvantageSettings, group_advantages
from mentor.errors import StageError
from mentor.evaluation.alarms import Alarms
from mentor.evaluation.history import History
from mentor.evaluation.rollout_metrics import group_metrics
from mentor.types import (
    CallError,
    CallRecord,
    GroupKind,
    RewardBreakdown,
    StopReason,
    Task,
    Trajectory,
    TrajectoryGroup,
)

PLAIN = AdvantageSettings("group", normalize_std=False)

TASK = Task("t", "q", ("1",), "calculator")


def make_reward(answer: float, /, **parts: float) -> RewardBreakdown:
    return RewardBreakdown(sum(parts.values()), {"correct": answer}, parts=parts)


def make_group(*rewards: RewardBreakdown, calls: tuple[CallRecord, ...] = ()) -> TrajectoryGroup:
    trajectories = [Trajectory(TASK, [], "[]", StopReason.ANSWERED, list(calls)) for _ in rewards]
    totals = [reward.total for reward in rewards]
    return TrajectoryGroup(TASK, trajectories, list(rewards), group_advantages(totals, PLAIN))


def mixed() -> TrajectoryGroup:
    """Totals 1.0 and 0.2: advantages 0.4 and -0.4, of which correct gives 0.3 and match 0.1."""
    return make_group(make_reward(1.0, correct=0.6, match=0.4), make_reward(0.0, correct=0.0, match=0.2))


def all_fail() -> TrajectoryGroup:
    """Totals 0.3 and 0.1: advantages 0.1 and -0.1, match giving 0.2 each way and valid 0.1 the other."""
    return make_group(make_reward(0.0, match=0.4, valid=-0.1), make_reward(0.0, match=0.0, valid=0.1))


def test_the_kind_of_a_group_is_that_of_its_graded_answers():
    right, wrong = make_reward(1.0, correct=1.0), make_reward(0.0, correct=0.0)
    unread = RewardBreakdown(-2.0, {"correct": None})  # a total without a look at the answer
    ungraded = RewardBreakdown(None, {"correct": None})
    assert make_group(right, ungraded).kind is GroupKind.ALL_PASS
    assert make_group(wrong, unread, ungraded).kind is GroupKind.ALL_FAIL
    assert make_group(right, unread).kind is GroupKind.MIXED
    assert make_group(ungraded, ungraded).kind is None


def test_advantage_by_term_and_kind():
    dead = make_group(make_reward(1.0, correct=0.6), make_reward(1.0, correct=0.6))
    metrics = group_metrics([mixed(), all_fail(), dead], PLAIN)
    assert (metrics["groups/mixed"], metrics["groups/all_fail"], metrics["groups/all_pass"]) == (1 / 3, 1 / 3, 1 / 3)
    assert metrics["groups/zero_variance"] == 1 / 3
    assert metrics["advantage/abs_mean"] == pytest.approx((2 * 0.4 + 2 * 0.1) / 6)
    assert metrics["advantage/share_mixed"] == pytest.approx(0.8)
    assert metrics["advantage/share_all_fail"] == pytest.approx(0.2)
    assert metrics["advantage/share_all_pass"] == 0.0
    assert metrics["advantage/correct_mixed"] == pytest.approx(2 * 0.3 / 6)
    assert metrics["advantage/match_mixed"] == pytest.approx(2 * 0.1 / 6)
    assert metrics["advantage/match_all_fail"] == pytest.approx(2 * 0.2 / 6)
    assert metrics["advantage/valid_all_fail"] == pytest.approx(2 * 0.1 / 6)
    assert metrics["advantage/correct_all_pass"] == 0.0


def test_parts_taken_from_a_reward_have_their_own_metrics():
    charged = make_reward(1.0, correct=1.0, overlong=-0.5, kl=-0.125), make_reward(0.0, correct=0.0, overlong=0.0)
    metrics = group_metrics([make_group(*charged), make_group(make_reward(1.0, correct=1.0))], PLAIN)
    assert metrics["reward/overlong"] == -0.25 and metrics["reward/kl"] == -0.125, "of those that have the part"
    assert metrics["reward/mean"] == pytest.approx((0.375 + 0.0 + 1.0) / 3)
    # advantages 0.1875 each way: correct 0.5, overlong -0.25, kl -0.0625 of three graded trajectories
    assert metrics["advantage/overlong_mixed"] == pytest.approx(2 * 0.25 / 3)
    assert metrics["advantage/kl_mixed"] == pytest.approx(2 * 0.0625 / 3)
    assert "reward/kl" not in group_metrics([mixed()], PLAIN)


def test_a_dropped_group_counts_in_rewards_and_not_in_advantages():
    dropped = mixed()
    dropped.advantages = [None, None]
    alone, beside = group_metrics([mixed()], PLAIN), group_metrics([mixed(), dropped], PLAIN)
    assert {key: value for key, value in beside.items() if key.startswith("advantage/")} == {
        key: value for key, value in alone.items() if key.startswith("advantage/")
    }
    wrong = make_group(make_reward(0.0, correct=0.0), make_reward(0.0, match=0.5))
    wrong.advantages = [None, None]
    assert group_metrics([mixed(), wrong], PLAIN)["reward/correct"] == 0.25
    assert group_metrics([mixed(), wrong], PLAIN)["groups/all_fail"] == 0.5


def test_a_reward_that_is_no_sum_has_its_total_as_the_only_term():
    group = make_group(RewardBreakdown(1.1, {"correct": 1.0}), RewardBreakdown(0.1, {"correct": None}))
    metrics = group_metrics([group], PLAIN)
    assert metrics["advantage/total_mixed"] == pytest.approx(0.5) == metrics["advantage/abs_mean"]


def test_failed_calls_are_counted_by_kind():
    calls = (
        CallRecord(0, "add", {}, True),
        CallRecord(0, None, {}, False, CallError.MALFORMED),
        CallRecord(1, "no", {}, False, CallError.UNKNOWN_TOOL),
        CallRecord(1, "no", {}, False, CallError.UNKNOWN_TOOL),
    )
    metrics = group_metrics([make_group(make_reward(1.0, correct=1.0), calls=calls)], PLAIN)
    assert metrics["rollout/call_unknown_tool"] == 0.5 and metrics["rollout/call_malformed"] == 0.25
    assert metrics["rollout/call_timeout"] == 0.0 and metrics["rollout/valid_call_rate"] == 0.25


def row(size: float, failed: float, dead: float) -> dict[str, float]:
    return {"advantage/abs_mean": size, "advantage/share_all_fail": failed, "groups/zero_variance": dead}


def test_an_alarm_begins_once_and_looks_back_over_five_steps():
    alarms = Alarms()
    on, lines = alarms.watch(1, row(0.1, 1.0, 0.2))
    assert on == {"alarm/all_fail": 1.0, "alarm/dead_groups": 0.0}
    (line,) = lines
    assert line.startswith("alarm at step 1: in this step 100% of |advantage| came from groups without")
    on, lines = alarms.watch(2, row(0.1, 0.9, 0.9))
    assert on == {"alarm/all_fail": 1.0, "alarm/dead_groups": 1.0}
    assert len(lines) == 1 and "55% of the groups were dead" in lines[0], "0.2 and 0.9; the first alarm goes on"
    on, lines = alarms.watch(3, row(0.8, 0.0, 0.1))  # all-fail: 0.19 of 1.0 now
    assert on == {"alarm/all_fail": 0.0, "alarm/dead_groups": 0.0} and not lines


def test_a_resumed_run_looks_back_on_the_steps_before():
    rows = [row(0.1, 1.0, 0.0)] * 7
    on, lines = Alarms(rows).watch(8, row(0.1, 0.0, 0.0))
    assert on["alarm/all_fail"] == 1.0 and not lines, "four of five steps, and it rang before"


def stats(updates: float) -> dict[str, float]:
    return {"policy/updates": updates, "policy/tokens": 90.0}


SECONDS = {"rollout": 2.0, "reward": 0.5, "update": 3.0}


def test_history_sums_over_the_steps_before_a_resume(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    before = {**row(0.1, 0.0, 0.0), "step": 1, "policy/updates": 2, "rollout/tokens": 50, "alarm/all_fail": 1}
    path.write_text(json.dumps(before | {"time/rollout_s": 9, "reward/correct": 0.5}) + "\n")
    history = History(path)
    metrics, _ = history.add(2, [mixed()], stats(1.0), SECONDS, PLAIN)
    assert metrics["throughput/update_tokens_per_s"] == 30.0 and metrics["time/reward_s"] == 0.5
    assert history.seconds() == SECONDS
    counts = history.counts()
    assert counts == {"updates": 3, "sampled_tokens": 50, "alarms": {"alarm/all_fail": 1, "alarm/dead_groups": 0}}
    assert history.headline() == ("reward/correct", 0.5)


def test_a_run_without_an_optimiser_step_is_an_error(tmp_path: Path):
    history = History(tmp_path / "none.jsonl")
    history.add(1, [make_group(make_reward(0.0, correct=0.0))], stats(0.0), SECONDS, PLAIN)
    with pytest.raises(StageError, match="no optimiser step in 1 steps"):
        history.counts()
