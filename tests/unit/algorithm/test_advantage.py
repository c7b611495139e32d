import pytest

from mentor.algorithm.advantage import (
    EPSILON,
    AdvantageSettings,
    advantage_parts,
    batch_deviation,
    group_advantages,
    part_divisors,
    turn_advantages,
    zero_variance,
    zero_variance_group,
)
from mentor.types import RewardBreakdown

PLAIN, STD = AdvantageSettings("group", normalize_std=False), AdvantageSettings("group", normalize_std=True)
BY_PART = AdvantageSettings(aggregation="normalize_then_sum")


def rewards_of(parts, **weights):
    return [
        RewardBreakdown(None if entry is None else sum(entry.values()), {}, parts=entry or {}, weights=weights)
        for entry in parts
    ]


def split_of(parts, settings, **weights):
    return advantage_parts(parts, part_divisors(rewards_of(parts, **weights), settings), settings)


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
        split = split_of(parts, settings)
        assert split[1] is None
        for advantage, entry in zip(whole, split, strict=True):
            assert (advantage is None) == (entry is None)
            assert entry is None or sum(entry.values()) == pytest.approx(advantage)
    first = split_of(parts, PLAIN)[0]
    assert first == pytest.approx({"correct": 0.6 - 0.2, "match": 0.3 - 0.4 / 3, "floor": -0.05 / 3})


def test_terms_that_cancel_give_a_dead_group_no_advantage():
    parts = [{"correct": 0.5, "match": 0.0}, {"correct": 0.0, "match": 0.5}]
    assert split_of(parts, STD) == [{"correct": 0.0, "match": 0.0}] * 2


def test_leaving_one_out_takes_the_mean_of_the_others():
    # 1 - mean(0, 0.5) and so on; an ungraded one is nobody's baseline
    left_out = AdvantageSettings("leave_one_out", normalize_std=False)
    assert group_advantages([1.0, 0.0, None, 0.5], left_out) == pytest.approx([0.75, -0.75, None, 0.0])
    rewards = [1.0, 0.0, 0.25, 0.0]
    scaled = [value * 4 / 3 for value in group_advantages(rewards, PLAIN)]
    assert group_advantages(rewards, left_out) == pytest.approx(scaled)
    with pytest.raises(ValueError, match="group, leave_one_out"):
        group_advantages(rewards, AdvantageSettings("others"))


# --- each reward term by itself


def test_each_term_is_normalised_before_it_is_weighted():
    # correct, weight 0.6: values 1 1 0 0, deviation 0.5. match, weight 0.2: values 1 0 0 0, deviation 3**0.5 / 4
    parts = [{"correct": 0.6, "match": 0.2}, {"correct": 0.6, "match": 0.0}, {"correct": 0.0}, {"correct": 0.0}]
    correct = 0.6 * 0.5 / (0.5 + EPSILON)
    match = 0.2 / (3**0.5 / 4 + EPSILON)
    split = split_of(parts, BY_PART, correct=0.6, match=0.2)
    assert [entry["correct"] for entry in split] == pytest.approx([correct, correct, -correct, -correct])
    assert [entry["match"] for entry in split] == pytest.approx([match * 3 / 4, *[-match / 4] * 3])


def test_a_negative_weight_turns_its_term_around_and_the_size_of_a_term_does_not_count():
    # values 0 10 20, weight -0.1: deviation of the values (200 / 3)**0.5
    split = split_of([{"length": 0.0}, {"length": -1.0}, {"length": -2.0}], BY_PART, length=-0.1)
    first = 0.1 * 10 / ((200 / 3) ** 0.5 + EPSILON)
    assert [entry["length"] for entry in split] == pytest.approx([first, 0.0, -first])


def test_a_term_that_is_equal_in_a_group_gives_none_of_its_advantage():
    parts = [{"correct": 0.5, "match": 0.1}, None, {"correct": 0.0, "match": 0.1}]
    split = split_of(parts, BY_PART, correct=0.5, match=0.2)
    assert split[1] is None and [split[0]["match"], split[2]["match"]] == [0.0, 0.0]
    assert split[0]["correct"] == -split[2]["correct"] == pytest.approx(0.5 * 0.5 / (0.5 + EPSILON))


def test_equal_totals_of_different_terms_have_an_advantage_only_term_by_term():
    rewards = rewards_of([{"correct": 0.5, "match": 0.0}, {"correct": 0.0, "match": 0.5}])
    assert zero_variance_group(rewards, STD) and not zero_variance_group(rewards, BY_PART)
    equal = rewards_of([{"correct": 0.5, "match": 0.1}, None, {"correct": 0.5, "match": 0.1}])
    assert zero_variance_group(equal, BY_PART) and zero_variance_group(rewards_of([None, {"correct": 1.0}]), BY_PART)


def test_a_reward_that_is_no_sum_is_its_own_only_term():
    rewards = [RewardBreakdown(1.0, {}), RewardBreakdown(0.0, {})]
    assert part_divisors(rewards, BY_PART) == part_divisors(rewards, STD) == {"total": 0.5 + EPSILON}


def test_the_deviation_of_a_batch():
    assert batch_deviation([1.0, -1.0, 2.0, -2.0]) == pytest.approx(2.5**0.5 + EPSILON)


# --- an advantage for each turn


def test_a_turn_is_credited_with_what_was_still_to_be_earned():
    # match: the first trajectory earns 0.2, then 0.1; the second 0 then 0.1; the third answers at once
    parts = [{"correct": 0.6, "match": 0.3}, {"correct": 0.0, "match": 0.1}, {"correct": 0.6, "match": 0.0}]
    earned = [{"match": (0.0, 0.2, 0.3)}, {"match": (0.0, 0.0, 0.1)}, {"match": (0.0,)}]
    divisors = part_divisors(rewards_of(parts), PLAIN)
    found = turn_advantages(parts, earned, [3, 3, 1], divisors, PLAIN)
    right, wrong = 0.6 - 0.4, 0.0 - 0.4
    first = [0.3 - 0.4 / 3, 0.1 - 0.4 / 3, 0.0 - 0.4 / 3]  # all of match is ahead
    second = [0.1 - 0.2 / 3, 0.1 - 0.2 / 3]  # 0.1, 0.1, and 0 of the one that has ended
    assert found[0] == pytest.approx([right + first[0], right + second[0], right])
    assert found[1] == pytest.approx([wrong + first[1], wrong + second[1], wrong])
    assert found[2] == pytest.approx([right + first[2]])
    assert [entry[0] for entry in found] == pytest.approx(group_advantages([0.9, 0.1, 0.6], PLAIN))


def test_turns_share_the_divisors_of_their_trajectories():
    parts = [{"correct": 0.5, "match": 0.25}, None, {"correct": 0.0, "match": 0.0}]
    earned = [{"match": (0.0, 0.25)}, {}, {"match": (0.0, 0.0)}]
    std = turn_advantages(parts, earned, [2, 4, 2], part_divisors(rewards_of(parts), STD), STD)
    scale = 0.375 + EPSILON  # of 0.75 and 0
    assert std[0] == pytest.approx([0.375 / scale, 0.25 / scale]) and std[1] is None
    own = part_divisors(rewards_of(parts, correct=0.5, match=0.5), BY_PART)
    by_part = turn_advantages(parts, earned, [2, 4, 2], own, BY_PART)
    correct, match = 0.5 * 0.5 / (0.5 + EPSILON), 0.5 * 0.25 / (0.25 + EPSILON)  # values 1 0, and 0.5 0
    assert by_part[0] == pytest.approx([correct + match, correct])
    assert by_part[2] == pytest.approx([-correct - match, -correct])


def test_turns_that_earn_nothing_have_the_advantage_of_their_trajectory():
    parts = [{"correct": 1.0}, {"correct": 0.0}]
    found = turn_advantages(parts, [{}, {}], [2, 3], part_divisors(rewards_of(parts), STD), STD)
    advantages = group_advantages([1.0, 0.0], STD)
    assert found == [pytest.approx([advantages[0]] * 2), pytest.approx([advantages[1]] * 3)]
