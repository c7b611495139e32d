import pytest

from mentor.algorithm.advantage import EPSILON, AdvantageSettings, advantage_parts, group_advantages, zero_variance

PLAIN, STD = AdvantageSettings("group", normalize_std=False), AdvantageSettings("group", normalize_std=True)


def test_centred_on_the_group_mean():
    assert group_advantages([1.0, 0.0, 0.5, 0.5], PLAIN) == pytest.approx([0.5, -0.5, 0.0, 0.0])


def test_divided_by_the_population_standard_deviation():
    # mean 0.5; squared distances 0.25, 0.25, 0, 0; variance 0.125
    scale = 0.125**0.5 + EPSILON
    expected = [0.5 / scale, -0.5 / scale, 0, 0]
    assert group_advantages([1.0, 0.0, 0.5, 0.5], STD) == pytest.approx(expected)


def test_equal_rewards_teach_nothing():
    assert group_advantages([0.7, 0.7, 0.7], STD) == [0.0, 0.0, 0.0]
    assert zero_variance([0.7, 0.7, 0.7]) and not zero_variance([0.7, 0.6])


def test_an_ungraded_trajectory_counts_neither_way():
    assert group_advantages([1.0, None, 0.0], PLAIN) == [0.5, None, -0.5]
    assert group_advantages([None, None], STD) == [None, None]
    assert zero_variance([None, 0.4]) and zero_variance([None, None])


def test_the_parts_of_an_advantage_sum_to_it():
    parts = [{"correct": 0.6, "match": 0.3}, None, {"correct": 0.0, "match": 0.1}, {"floor": 0.05}]
    rewards = [None if part is None else sum(part.values()) for part in parts]
    for settings in (PLAIN, STD, AdvantageSettings("leave_one_out", False), AdvantageSettings("leave_one_out")):
        whole = group_advantages(rewards, settings)
        split = advantage_parts(rewards, parts, settings)
        assert split[1] is None
        for advantage, entry in zip(whole, split, strict=True):
            assert (advantage is None) == (entry is None)
            assert entry is None or sum(entry.values()) == pytest.approx(advantage)
    first = advantage_parts(rewards, parts, PLAIN)[0]
    assert first == pytest.approx({"correct": 0.6 - 0.2, "match": 0.3 - 0.4 / 3, "floor": -0.05 / 3})


def test_terms_that_cancel_give_a_dead_group_no_advantage():
    parts = [{"correct": 0.5, "match": 0.0}, {"correct": 0.0, "match": 0.5}]
    assert advantage_parts([0.5, 0.5], parts, STD) == [{"correct": 0.0, "match": 0.0}] * 2


def test_leaving_one_out_takes_the_mean_of_the_others():
    # 1 - mean(0, 0.5) and so on; an ungraded one is nobody's baseline
    left_out = AdvantageSettings("leave_one_out", normalize_std=False)
    assert group_advantages([1.0, 0.0, None, 0.5], left_out) == pytest.approx([0.75, -0.75, None, 0.0])
    rewards = [1.0, 0.0, 0.25, 0.0]
    scaled = [value * 4 / 3 for value in group_advantages(rewards, PLAIN)]
    assert group_advantages(rewards, left_out) == pytest.approx(scaled)
    with pytest.raises(ValueError, match="group, leave_one_out"):
        group_advantages(rewards, AdvantageSettings("others"))
