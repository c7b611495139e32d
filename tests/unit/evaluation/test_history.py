"""What a run comes to over all its steps, those before a resume included."""

import json
from pathlib import Path

import pytest

from mentor.algorithm.advantage import AdvantageSettings
from mentor.errors import StageError
from mentor.evaluation.history import History
from mentor.rl.advantages import assign_advantages
from mentor.types import (
    CallRecord,
    RewardBreakdown,
    StopReason,
    Task,
    Trajectory,
    TrajectoryGroup,
)

PLAIN = AdvantageSettings("group", normalize_std=False)
TASK = Task("t", "q", ("1",), "calculator")
SECONDS = {
    "rollout": 2.0,
    "reward": 0.5,
    "sleep": 0.1,
    "logprobs": 1.0,
    "teacher": 0.0,
    "update": 3.0,
    "push": 0.25,
    "push_check": 0.2,
}


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


def row(size: float, failed: float, equal: float) -> dict[str, float]:
    return {"advantage/abs_mean": size, "advantage/share_all_fail": failed, "groups/zero_variance": equal}


def stats(updates: float) -> dict[str, float]:
    return {"policy/updates": updates, "policy/tokens": 90.0, "sync/push_gib": 0.5}


def test_history_sums_over_the_steps_before_a_resume(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    before = {**row(0.1, 0.0, 0.0), "step": 1, "policy/updates": 2, "rollout/tokens": 50, "alarm/all_fail": 1}
    path.write_text(json.dumps(before | {"time/rollout_s": 9, "reward/correct": 0.5}) + "\n")
    history = History(path)
    metrics, _ = history.add(2, [mixed()], stats(1.0), {**SECONDS, "update/forward": 0.25}, PLAIN)
    assert metrics["time/update/forward_s"] == 0.25
    assert metrics["throughput/update_tokens_per_s"] == 30.0 and metrics["time/reward_s"] == 0.5
    assert metrics["throughput/push_gib_per_s"] == 2.0 and metrics["time/logprobs_s"] == 1.0
    assert history.seconds() == SECONDS
    shared, _ = History(path).add(2, [mixed()], stats(1.0) | {"sync/push_gib": 0.0}, SECONDS, PLAIN)
    assert "throughput/push_gib_per_s" not in shared
    counts = history.counts()
    assert counts == {
        "updates": 3,
        "sampled_tokens": 50,
        "alarms": {"alarm/all_fail": 1, "alarm/zero_variance": 0, "alarm/canary": 0},
    }
    assert history.headline() == ("reward/correct", 0.5)


def test_a_run_without_an_optimiser_step_is_an_error(tmp_path: Path):
    history = History(tmp_path / "none.jsonl")
    history.add(1, [make_group(make_reward(0.0, correct=0.0))], stats(0.0), SECONDS, PLAIN)
    with pytest.raises(StageError, match="no optimiser step in 1 steps"):
        history.counts()


def test_success_is_a_mean_over_the_last_steps_that_were_graded(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    shares = [{"reward/correct": 0.9}, {"reward/correct": 0.1}, {}, {"reward/correct": 0.4}]
    path.write_text(
        "".join(
            json.dumps({**row(0.1, 0.0, 0.0), "step": step, **share}) + "\n" for step, share in enumerate(shares, 1)
        )
    )
    history = History(path)
    assert [history.success(steps) for steps in (1, 2, 3)] == pytest.approx([0.4, 0.4, 0.25])
    assert history.success(10) == pytest.approx(1.4 / 3) and History(tmp_path / "none.jsonl").success(10) is None
