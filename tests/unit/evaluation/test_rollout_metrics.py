"""The metrics of one step, on groups worked out by hand."""

import pytest

from mentor.algorithm.advantage import AdvantageSettings
from mentor.evaluation.rollout_metrics import group_metrics
from mentor.rl.advantages import assign_advantages
from mentor.types import (
    CallError,
    CallRecord,
    GroupKind,
    RewardBreakdown,
    StopReason,
    Task,
    Tokens,
    ToolCall,
    Trajectory,
    TrajectoryGroup,
)

PLAIN = AdvantageSettings("group", normalize_std=False)
TASK = Task("t", "q", ("1",), "calculator")


def make_reward(answer: float, /, **parts: float) -> RewardBreakdown:
    return RewardBreakdown(sum(parts.values()), {"correct": answer}, parts=parts)


def make_group(*rewards: RewardBreakdown, calls: tuple[CallRecord, ...] = ()) -> TrajectoryGroup:
    trajectories = [Trajectory(TASK, [], "[]", StopReason.ANSWERED, list(calls)) for _ in rewards]
    group = TrajectoryGroup(TASK, trajectories, list(rewards))
    assign_advantages([group], PLAIN)
    return group


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
    equal = make_group(make_reward(1.0, correct=0.6), make_reward(1.0, correct=0.6))
    metrics = group_metrics([mixed(), all_fail(), equal], PLAIN)
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
    dropped.advantages = dropped.advantage_parts = [None, None]
    alone, beside = group_metrics([mixed()], PLAIN), group_metrics([mixed(), dropped], PLAIN)
    assert {key: value for key, value in beside.items() if key.startswith("advantage/")} == {
        key: value for key, value in alone.items() if key.startswith("advantage/")
    }
    wrong = make_group(make_reward(0.0, correct=0.0), make_reward(0.0, match=0.5))
    wrong.advantages = wrong.advantage_parts = [None, None]
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


def test_step_metrics_leave_out_what_has_no_value():
    task = Task("t", "q", ("1",), "calculator")
    bad = CallRecord(0, None, {}, False, CallError.MALFORMED)
    trajectories = [
        Trajectory(task, [{"role": "assistant"}], "[]", StopReason.ANSWERED, [], Tokens([1], [True], [-1.0])),
        Trajectory(
            task, [{"role": "assistant"}] * 3, "[]", StopReason.LENGTH, [bad], Tokens([1, 2], [False, True], [0, -1])
        ),
    ]
    rewards = [
        RewardBreakdown(1.0, {"correct": 1.0, "match": None}),
        RewardBreakdown(None, {"correct": None, "match": None}),
    ]
    metrics = group_metrics([TrajectoryGroup(task, trajectories, rewards)], AdvantageSettings())
    assert metrics["reward/mean"] == 1.0 and metrics["reward/ungraded"] == 0.5 and "reward/match" not in metrics
    assert metrics["groups/zero_variance"] == 1.0
    assert metrics["rollout/turns"] == 2.0 and metrics["rollout/tokens"] == 2.0
    assert metrics["rollout/valid_call_rate"] == 0.0 and metrics["rollout/stop_length"] == 0.5


def test_a_trajectory_scored_without_a_look_at_its_answer_is_not_correct():
    # a released reward gives its total for a missing end or box before it looks at the answer: no `correct` term
    task = Task("t", "q", ("1",), "calculator")
    trajectory = Trajectory(task, [], "[]", StopReason.LENGTH, [])
    right, unread = RewardBreakdown(1.0, {"correct": 1.0}), RewardBreakdown(-2.0, {"correct": None})
    failed = RewardBreakdown(None, {"correct": None})
    group = TrajectoryGroup(task, [trajectory] * 4, [right, unread, unread, failed])
    assert group_metrics([group], AdvantageSettings())["reward/correct"] == pytest.approx(1 / 3)
    none_read = TrajectoryGroup(task, [trajectory] * 2, [unread, unread])
    assert group_metrics([none_read], AdvantageSettings())["reward/correct"] == 0.0


def made(*calls, error=None):
    """Calls of one turn each: a name, or (name, arguments)."""
    pairs = [(call, {}) if isinstance(call, str) else call for call in calls]
    return [CallRecord(turn, name, arguments, error is None, error) for turn, (name, arguments) in enumerate(pairs)]


def taught(*calls):
    pairs = [(call, {}) if isinstance(call, str) else call for call in calls]
    return [ToolCall(name, arguments) for name, arguments in pairs]


def test_a_step_of_training_logs_its_tool_use():
    task = Task("t", "q", ("1",), "calculator", reference=tuple(taught("add", "sqrt")))
    trajectories = [
        Trajectory(task, [], "[]", StopReason.ANSWERED, calls, Tokens([1, 2], [False, True], [0.0, -1.0]))
        for calls in (made("add", "sqrt"), made("add"))
    ]
    trajectories[0].hidden_calls = 3
    turns = [{"role": "assistant", "content": ""}] * 2
    trajectories[0].messages, trajectories[1].messages = turns, turns[:1]
    trajectories[1].cut_thoughts = 1
    rewards = [RewardBreakdown(value, {"correct": value}) for value in (1.0, 0.0)]
    metrics = group_metrics([TrajectoryGroup(task, trajectories, rewards)], AdvantageSettings())
    assert metrics["rollout/hidden_calls"] == 1.5 and metrics["rollout/cut_thoughts"] == pytest.approx(1 / 3)
    found = {name: value for name, value in metrics.items() if name.startswith("tool_use/")}
    assert found == {
        "tool_use/tool_similarity": pytest.approx(0.97928, abs=1e-5),
        "tool_use/bag_f1": pytest.approx((1 + 2 / 3) / 2),
        "tool_use/set_f1": pytest.approx((1 + 2 / 3) / 2),
        "tool_use/edit_distance": 0.25,
        "tool_use/argument_agreement": 1.0,
        "tool_use/never_diverges": 0.5,
        "tool_use/first_divergent_turn": 2.0,
        "tool_use/teacher_calls_per_answer": 2.0,
        "tool_use/answers_with_calls": 1.0,
        "tool_use/calls_per_correct": 3.0,
        "tool_use/tokens_per_correct": 2.0,
    }
