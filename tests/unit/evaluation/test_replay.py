import math
from contextlib import ExitStack

import numpy as np
import pytest

from mentor.algorithm.advantage import AdvantageSettings
from mentor.evaluation.replay import CHUNK, NOTE, ReplayedGroup, Tolerance, cluster, replay, replay_group
from mentor.rewards import build_reward, load_preset
from mentor.rewards.composite import Judged
from mentor.rewards.grader_pool import GraderPool
from mentor.rewards.weight_grid import grid_points
from mentor.rl.advantages import assign_advantages
from mentor.types import TrajectoryGroup
from tests.fixtures.played import played_groups

PLAIN = AdvantageSettings(normalize_std=False)
TOLERANCE = Tolerance(0.99, 0.01)
FLOORED = Judged({"correct": 0.0, "match": 1.0, "valid": 1.0}, "unfinished")


def judged(correct, match, valid=1.0):
    return Judged({"correct": correct, "match": match, "valid": valid}, None)


FLEXIBLE = (("correct", "correct"), ("match", "bag_f1"), ("valid", "valid"))


def group(*members):
    return {FLEXIBLE: members}


def points_of(grid):
    return grid_points(load_preset("flexible_f1"), "flexible_f1", grid)


def test_a_point_against_the_preset_by_hand():
    groups = [
        group(judged(1.0, 1.0), judged(1.0, 0.0), judged(0.0, 1.0)),
        group(judged(0.0, 1.0), judged(0.0, 0.0, 0.5), judged(None, 1.0)),
        group(FLOORED, FLOORED),
    ]
    found = replay(*points_of({"weights.tool": [0, 0.3]}), groups, PLAIN, TOLERANCE)
    # flexible: 1, 0.7, 0.16 | 0.16, 0.05, ungraded | 0, 0    without tool: 0.7, 0.7, 0.1 | 0.1, 0.05, ungraded | 0, 0
    ours = np.array([0.38, 0.08, -0.46, 0.055, -0.055])
    theirs = np.array([0.2, 0.2, -0.4, 0.025, -0.025])
    assert found.base == found.points[1] == {
        "values": {"weights.tool": 0.3},
        "reward_mean": pytest.approx(2.07 / 7),
        "zero_variance": pytest.approx(1 / 3),
        "abs_advantage": pytest.approx(1.03 / 7),
        "share_all_fail": pytest.approx(0.11 / 1.03),
        "flips": 0.0,
        "reversals": 0.0,
        "kendall": pytest.approx(1.0),
        "cosine": pytest.approx(1.0),
    }  # fmt: skip
    point = found.points[0]
    assert (point["flips"], point["reversals"]) == (1 / 5, 0.0)  # of five known pairs one is tied now
    assert point["kendall"] == pytest.approx(3 / math.sqrt(4 * 3))
    assert point["cosine"] == pytest.approx(ours @ theirs / math.sqrt((ours @ ours) * (theirs @ theirs)))
    assert point["share_all_fail"] == pytest.approx(0.05 / 0.85)
    assert found.clusters == [[0], [1]]


def test_reversals_and_points_that_teach_nothing():
    groups = [group(judged(1.0, 0.0, 0.0), judged(0.0, 1.0))]  # 0.6 and 0.16
    grid = {"weights.correct": [0.6, 0], "weights.tool": [0.3, 0], "weights.valid": [0]}
    found = replay(*points_of(grid), groups, AdvantageSettings(), TOLERANCE)
    both, outcome, tool, nothing = found.points
    assert (both["flips"], both["reversals"], both["cosine"]) == (0.0, 0.0, pytest.approx(1.0))
    assert outcome["cosine"] == pytest.approx(1.0) and found.clusters[0] == [0, 1]
    assert (tool["flips"], tool["reversals"]) == (1.0, 1.0)
    assert (tool["kendall"], tool["cosine"]) == (pytest.approx(-1.0), pytest.approx(-1.0))
    assert (nothing["zero_variance"], nothing["flips"], nothing["reversals"]) == (1.0, 1.0, 0.0)
    assert (nothing["kendall"], nothing["cosine"], nothing["share_all_fail"]) == (None, 0.0, None)
    twice = replay(*points_of({**grid, "gate": ["none", "group"]}), groups, PLAIN, TOLERANCE)
    assert [6, 7] in twice.clusters  # two points without any advantage are one


def test_many_groups_come_one_after_the_other_to_the_numbers_of_one():
    one = [
        group(judged(1.0, 1.0), judged(1.0, 0.0), judged(0.0, 1.0)),
        group(judged(0.0, 1.0), judged(0.0, 0.0, 0.5), judged(None, 1.0)),
    ]
    grid = {"weights.tool": [0, 0.3], "gate": ["none", "outcome"]}
    points = points_of(grid)
    once = replay(*points, iter(one), AdvantageSettings(), TOLERANCE)
    often = replay(*points, iter(one * CHUNK), AdvantageSettings(), TOLERANCE)  # in two chunks
    assert often.clusters == once.clusters
    for ours, theirs in zip([often.base, *often.points], [once.base, *once.points], strict=True):
        assert ours.pop("values") == theirs.pop("values")
        assert ours == pytest.approx(theirs, rel=1e-12)


def test_every_member_is_like_its_representative_and_no_two_representatives_are():
    chain = np.eye(5, dtype=bool)  # 0-1-2-3, and 4 alone
    for one, other in ((0, 1), (1, 2), (2, 3)):
        chain[one, other] = chain[other, one] = True
    assert cluster(chain) == [[1, 0, 2], [3], [4]]
    assert cluster(np.ones((3, 3), dtype=bool)) == [[0, 1, 2]]


def test_the_table_says_how_many_points_are_distinguishable_and_what_it_describes():
    groups = [group(judged(1.0, 1.0), judged(1.0, 0.0), judged(0.0, 1.0))]
    table = replay(*points_of({"weights.tool": [0.3, 0.29, 0]}), groups, PLAIN, TOLERANCE).table()
    lines = table.splitlines()
    assert lines[0].split() == [
        "cluster",
        "reward",
        "zero",
        "var",
        "|A|",
        "all",
        "fail",
        "flips",
        "reversed",
        "tau",
        "cosine",
    ]
    assert [line.split()[0] for line in lines[2:5]] == ["1*", "1", "2*"]
    assert lines[5:] == [
        "3 points, 2 distinguishable:",
        "      1  weights.tool=0.3, and 1 more like it",
        "      2  weights.tool=0",
        NOTE,
    ]


def test_totals_and_advantages_are_those_that_training_makes(chat):
    played = played_groups(chat, tasks=28)
    assert sum(map(len, played)) == 504
    grid = {"weights.tool": [0, 0.3, 1], "weights.valid": [0, 0.1], "gate": ["none", "outcome", "group"]}
    grid |= {"matcher": ["bag_f1", "sequence_args"], "wrong_scale": [0.2, 1.0], "floors.no_answer": [0.0, -0.5]}
    base, points = points_of(grid)
    tried = points[::13]  # 12 of 144
    assert all({point.values[key] for point in tried} == set(values) for key, values in grid.items())
    with GraderPool(1) as pool, ExitStack() as stack:

        def reward(settings):
            return stack.enter_context(build_reward(pool, **settings))

        judges = {point.measures: reward(point.settings) for point in (base, *points)}
        groups = [{name: judge.judge(group) for name, judge in judges.items()} for group in played]
        for point in tried:
            own = reward(point.settings)
            trained = [TrajectoryGroup(group[0].task, group, own.score(group)) for group in played]
            for advantage in (AdvantageSettings(), AdvantageSettings("leave_one_out", normalize_std=False)):
                assign_advantages(trained, advantage)
                assert [replay_group(point, group, advantage) for group in groups] == [
                    ReplayedGroup(group.rewards, group.advantages) for group in trained
                ]
