import pytest

from mentor.algorithm.advantage import EPSILON, advantage_parts, group_advantages, zero_variance


def test_centred_on_the_group_mean():
    assert group_advantages([1.0, 0.0, 0.5, 0.5], normalize_std=False) == pytest.approx([0.5, -0.5, 0.0, 0.0])


def test_divided_by_the_population_standard_deviation():
    # mean 0.5; squared distances 0.25, 0.25, 0, 0; variance 0.125
    scale = 0.125**0.5 + EPSILON
    expected = [0.5 / scale, -0.5 / scale, 0, 0]
    assert group_advantages([1.0, 0.0, 0.5, 0.5], normalize_std=True) == pytest.approx(expected)


def test_equal_rewards_teach_nothing():
    assert group_advantages([0.7, 0.7, 0.7], normalize_std=True) == [0.0, 0.0, 0.0]
    assert zero_variance([0.7, 0.7, 0.7]) and not zero_variance([0.7, 0.6])


def test_an_ungraded_trajectory_counts_neither_way():
    assert group_advantages([1.0, None, 0.0], normalize_std=False) == [0.5, None, -0.5]
    assert group_advantages([None, None], normalize_std=True) == [None, None]
    assert zero_variance([None, 0.4]) and zero_variance([None, None])


def test_the_parts_of_an_advantage_sum_to_it():
    parts = [{"correct": 0.6, "match": 0.3}, None, {"correct": 0.0, "match": 0.1}, {"floor": 0.05}]
    rewards = [None if part is None else sum(part.values()) for part in parts]
    for normalize_std in (False, True):
        whole = group_advantages(rewards, normalize_std)
        split = advantage_parts(rewards, parts, normalize_std)
        assert split[1] is None
        for advantage, entry in zip(whole, split, strict=True):
            assert (advantage is None) == (entry is None)
            assert entry is None or sum(entry.values()) == pytest.approx(advantage)
    first = advantage_parts(rewards, parts, normalize_std=False)[0]
    assert first == pytest.approx({"correct": 0.6 - 0.2, "match": 0.3 - 0.4 / 3, "floor": -0.05 / 3})


def test_terms_that_cancel_give_a_dead_group_no_advantage():
    parts = [{"correct": 0.5, "match": 0.0}, {"correct": 0.0, "match": 0.5}]
    assert advantage_parts([0.5, 0.5], parts, normalize_std=True) == [{"correct": 0.0, "match": 0.0}] * 2
