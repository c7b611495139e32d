"""Groups over several ranks: who rolls out what, who scores what, and that every rank ends up with all of it."""

import pytest

from mentor.algorithm.advantage import AdvantageSettings
from mentor.evaluation.rollout_metrics import group_metrics
from mentor.policy.ranks import Ranks
from mentor.rewards import build_reward
from mentor.rl.advantages import assign_advantages
from mentor.rl.rollouts import GroupSampler, contiguous_parts, score_groups
from mentor.types import RewardBreakdown, StopReason, Task, Trajectory, TrajectoryGroup
from tests.fixtures.judge_server import JudgeServer, write_rubric
from tests.fixtures.own_rewards import write_rewards
from tests.unit.endpoints.test_background import opened
from tests.unit.rewards.builders import HONEST, make_trajectory

TASKS = [Task(f"t{i}", "q", ("1",), "calculator") for i in range(4)]


class Together:
    """The ranks of one program, run one after another: all_gather returns what every rank handed in."""

    def __init__(self, size):
        self.size, self.handed = size, []

    def ranks(self, rank, others):
        found = Ranks()
        found.rank, found.size = rank, self.size
        found.all_gather = lambda value: [*others[:rank], value, *others[rank + 1 :]]
        return found


class Worked:
    """An environment whose trajectories name their request's seed."""

    def __init__(self):
        self.asked = []

    def rollout(self, requests):
        self.asked.append(len(requests))
        return [Trajectory(r.task, [], "[]", StopReason.ANSWERED, [], group_id=str(r.seed)) for r in requests]


class Numbered:
    """A reward that counts the groups it scores."""

    groups_at_once = 1

    def __init__(self):
        self.scored = []

    def score(self, trajectories):
        self.scored.append(trajectories[0].task.id)
        return [RewardBreakdown(float(place), {}) for place, _ in enumerate(trajectories)]


def sampler(environment, ranks):
    tokens = {"t0": 90, "t1": 10, "t2": 10, "t3": 10}
    shares = [1] * ranks.size
    return GroupSampler(environment, TASKS, tokens.get, ranks, shares, prompts=4, group_size=2, seed=1, temperature=1.0)


def test_two_ranks_sample_the_groups_that_one_samples_balanced_by_tokens():
    alone = Worked()
    whole = sampler(alone, Ranks()).sample(3, 0)
    assert [len(group.trajectories) for group in whole] == [2, 2, 2, 2] and alone.asked == [8]
    flat = [trajectory for group in whole for trajectory in group.trajectories]
    heavy = next(place for place, trajectory in enumerate(flat) if trajectory.task.id == "t0")
    first = contiguous_parts([90 if t.task.id == "t0" else 10 for t in flat], [1, 1])[0]
    parts = [flat[: first.stop], flat[first.stop :]]
    for rank in (0, 1):
        environment = Worked()
        found = sampler(environment, Together(2).ranks(rank, parts)).sample(3, 0)
        assert found == whole and environment.asked == [len(parts[rank])]
    assert heavy in first or first.stop <= heavy


def test_each_rank_scores_every_second_group_and_all_get_every_reward():
    def groups():
        return [TrajectoryGroup(t, [Trajectory(t, [], "[]", StopReason.ANSWERED, [])] * 3) for t in TASKS]

    reward, expected = Numbered(), groups()
    score_groups(expected, reward, Ranks())
    assert reward.scored == ["t0", "t1", "t2", "t3"]
    assert [b.total for b in expected[2].rewards] == [0.0, 1.0, 2.0]
    for rank, own in ((0, ["t0", "t2"]), (1, ["t1", "t3"])):
        reward, found = Numbered(), groups()
        others = [[group.rewards for group in expected[place::2]] for place in (0, 1)]
        score_groups(found, reward, Together(2).ranks(rank, others))
        assert reward.scored == own and found == expected


def test_contiguous_parts_by_hand():
    assert contiguous_parts([4, 4, 4, 4], [1, 1]) == [range(0, 2), range(2, 4)]
    assert contiguous_parts([9, 1, 1, 1, 6], [1, 1]) == [range(0, 1), range(1, 5)]
    assert contiguous_parts([7], [1, 1]) in ([range(0, 1), range(1, 1)], [range(0, 0), range(0, 1)])


def test_a_rank_has_its_share_and_none_without_an_engine():
    assert contiguous_parts([4, 4, 4], [2, 1]) == [range(0, 2), range(2, 3)]
    assert contiguous_parts([4, 4, 4], [1, 0]) == [range(0, 3), range(3, 3)]
    assert contiguous_parts([4, 4, 4, 4], [1, 0, 1, 0]) == [range(0, 2), range(2, 2), range(2, 4), range(4, 4)]


def test_contiguous_parts_cover_everything_once():
    for count in range(1, 9):
        parts = contiguous_parts([3, 1, 4, 1, 5, 9, 2, 6, 5], [1] * count)
        assert [i for part in parts for i in part] == list(range(9))


def test_a_term_of_the_users_own_is_scored_logged_and_stored(tmp_path):
    members = [make_trajectory(calls=HONEST), make_trajectory(calls=HONEST[:1])]
    groups = [TrajectoryGroup(members[0].task, members)]
    terms = {
        "correct": {"term": "correct", "weight": 1},
        "own": {"term": f"{write_rewards(tmp_path)}:brief", "weight": 0.6},
    }
    with build_reward(name="own", terms=terms) as reward:
        score_groups(groups, reward, Ranks())
    assign_advantages(groups, AdvantageSettings(normalize_std=False))
    assert [breakdown.total for breakdown in groups[0].rewards] == pytest.approx([1.2, 1.3])
    assert groups[0].advantages == pytest.approx([-0.05, 0.05])
    found = group_metrics(groups, AdvantageSettings(normalize_std=False))
    assert found["reward/own"] == pytest.approx(5 / 12) and found["advantage/own_all_pass"] == pytest.approx(0.05)


def test_groups_wait_for_a_judge_together(tmp_path):
    pytest.importorskip("openai")
    members = [[make_trajectory(rf"{number} \boxed{{72}}"), make_trajectory(rf"{number}")] for number in range(3)]
    groups = [TrajectoryGroup(pair[0].task, pair) for pair in members]
    tone = {"term": f"judge:{write_rubric(tmp_path)}", "weight": 0.5}
    with (
        JudgeServer() as server,
        opened(tmp_path / "judge", server) as endpoint,
        build_reward(None, print, endpoint, name="own", terms={"tone": tone}, grader=tone["term"]) as reward,
    ):
        score_groups(groups, reward, Ranks())
    assert [[b.total for b in group.rewards] for group in groups] == [[0.5, 0.125]] * 3
    assert group_metrics(groups, AdvantageSettings())["reward/tone"] == pytest.approx(0.625)
