"""Advantages of groups, and which groups dynamic sampling keeps."""

import pytest

from mentor.rl.advantages import assign_advantages, drop_surplus, enough_signal, zero_variance_group
from tests.fixtures.groups import PLAIN, make_group


def test_groups_with_a_signal_are_those_whose_graded_rewards_differ():
    assert zero_variance_group(make_group([0.5, 0.5])) and zero_variance_group(make_group([1.0, None]))
    assert not zero_variance_group(make_group([1.0, None, 0.0]))
    flat, mixed = make_group([1.0, 1.0]), make_group([1.0, 0.0])
    assert enough_signal([flat, mixed], 1) and not enough_signal([flat, mixed], 2) and enough_signal([], 0)


def test_the_groups_with_a_signal_beyond_the_wanted_are_dropped_in_order():
    first, flat, second, third = (make_group(r) for r in ([1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]))
    assert [id(g) for g in drop_surplus([first, flat, second, third], 2)] == [id(first), id(flat), id(second)]
    assert third.advantages == [None, None] and second.advantages == []
    assert drop_surplus([flat, second], 2) == [flat, second] and drop_surplus([flat, second], 0) == [flat]


def test_advantages_by_hand():
    group, flat = make_group([1.0, None, 0.0, 0.5]), make_group([0.5, 0.5])
    assign_advantages([group, flat], PLAIN)
    assert group.advantages == pytest.approx([0.5, None, -0.5, 0.0]) and flat.advantages == [0.0, 0.0]
