"""Advantages of groups, and which groups dynamic sampling keeps."""

from dataclasses import replace

import pytest
import torch

from mentor.algorithm.advantage import EPSILON, AdvantageSettings, zero_variance_group
from mentor.policy.ranks import Ranks
from mentor.rewards import build_reward, load_preset
from mentor.rl.advantages import assign_advantages, drop_surplus, enough_signal
from mentor.rl.experience import gather_experience
from mentor.rl.rollouts import score_groups
from mentor.types import RewardBreakdown, Tokens, ToolCall, TrajectoryGroup
from tests.fixtures.groups import PLAIN, Fixed, make_algorithm, make_group
from tests.fixtures.rollouts import END, call, run


def test_groups_with_a_signal_are_those_whose_graded_rewards_differ():
    assert zero_variance_group(make_group([0.5, 0.5]).rewards, PLAIN) and zero_variance_group(
        make_group([1.0, None]).rewards, PLAIN
    )
    assert not zero_variance_group(make_group([1.0, None, 0.0]).rewards, PLAIN)
    flat, mixed = make_group([1.0, 1.0]), make_group([1.0, 0.0])
    assert (
        enough_signal([flat, mixed], 1, PLAIN)
        and not enough_signal([flat, mixed], 2, PLAIN)
        and enough_signal([], 0, PLAIN)
    )


def test_the_groups_with_a_signal_beyond_the_wanted_are_dropped_in_order():
    first, flat, second, third = (make_group(r) for r in ([1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]))
    assert [id(g) for g in drop_surplus([first, flat, second, third], 2, PLAIN)] == [id(first), id(flat), id(second)]
    assert third.advantages == [None, None] and second.advantages == []
    assert drop_surplus([flat, second], 2, PLAIN) == [flat, second] and drop_surplus([flat, second], 0, PLAIN) == [flat]


def test_advantages_by_hand():
    group, flat = make_group([1.0, None, 0.0, 0.5]), make_group([0.5, 0.5])
    assign_advantages([group, flat], PLAIN)
    assert group.advantages == pytest.approx([0.5, None, -0.5, 0.0]) and flat.advantages == [0.0, 0.0]
    assert group.advantage_parts == [{"total": 0.5}, None, {"total": -0.5}, {"total": 0.0}]
    assert group.turn_advantages == []


BY_PART = AdvantageSettings(aggregation="normalize_then_sum")


def make_parts(*parts, turns=1):
    """A group whose rewards have these parts, with weights 0.6 and 0.4."""
    group = make_group([None] * len(parts))
    weights = {"correct": 0.6, "match": 0.4}
    group.rewards = [RewardBreakdown(sum(entry.values()), {}, parts=entry, weights=weights) for entry in parts]
    for trajectory in group.trajectories:
        trajectory.messages = [{"role": "assistant", "content": ""}] * turns
    return group


def test_terms_that_are_normalised_each_are_normalised_once_more_over_the_batch():
    # values of 1 and 0 have the deviation 0.5, so that each term gives its weight: 0.6 + 0.4, then 0.6 - 0.4
    share = 0.5 / (0.5 + EPSILON)
    agree = make_parts({"correct": 0.6, "match": 0.4}, {"correct": 0.0, "match": 0.0})
    argue = make_parts({"correct": 0.6, "match": 0.0}, {"correct": 0.0, "match": 0.4})
    flat = make_parts({"correct": 0.6}, {"correct": 0.6})
    assign_advantages([agree, argue, flat], BY_PART)
    scale = ((1 + 0.2**2) / 2) ** 0.5 * share + EPSILON  # of the four that have any
    assert agree.advantages == pytest.approx([share / scale, -share / scale])
    assert argue.advantages == pytest.approx([0.2 * share / scale, -0.2 * share / scale])
    assert argue.advantage_parts[0] == pytest.approx({"correct": 0.6 * share / scale, "match": -0.4 * share / scale})
    assert flat.advantages == [0.0, 0.0]
    assert sum(a * a for group in (agree, argue) for a in group.advantages) / 4 == pytest.approx(1.0, rel=1e-3)


def test_groups_whose_terms_cancel_are_trained_on_where_each_term_is_normalised():
    groups = [make_parts({"correct": 0.5, "match": 0.0}, {"correct": 0.25, "match": 0.25}) for _ in range(2)]
    assert not enough_signal(groups, 1, PLAIN) and enough_signal(groups, 2, BY_PART)
    assert drop_surplus(groups, 1, BY_PART) == groups[:1] and groups[1].advantage_parts == [None, None]
    assign_advantages([make_parts({"correct": 0.6}, {"correct": 0.6})], BY_PART)  # a batch without any


def test_turns_have_advantages_of_their_own_where_asked():
    parts = [{"correct": 0.6, "match": 0.4}, {"correct": 0.0, "match": 0.2}]
    group = make_parts(*parts, turns=2)
    group.rewards[0] = replace(group.rewards[0], earned={"match": (0.0, 0.4)})
    group.rewards[1] = replace(group.rewards[1], earned={"match": (0.0, 0.0)})
    assign_advantages([group], replace(PLAIN, by_turn=True))
    # correct 0.3 each way; match 0.1 each way at first, then 0 and 0.2 are ahead
    assert group.turn_advantages == [pytest.approx([0.4, 0.2]), pytest.approx([-0.4, -0.2])]
    assert group.advantages == pytest.approx([0.4, -0.4])
    assign_advantages([group], replace(BY_PART, by_turn=True))
    assert [turns[0] for turns in group.turn_advantages] == pytest.approx(group.advantages)


def test_an_advantage_of_a_turn_is_that_of_its_tokens_in_every_segment():
    group = make_group([1.0, 0.0])
    for trajectory in group.trajectories:
        tokens = Tokens()
        for prompt, sampled in (([1, 2], [3, 4]), ([1, 2, 3, 4, 5], [6]), ([1, 9], [7, 8])):
            tokens.append_prompt(prompt)
            tokens.append_sampled(sampled[:1], [-1.0] * len(sampled[:1]))
            tokens.append_context([0])  # inside a turn, as what closes its thinking
            tokens.append_sampled(sampled[1:], [-1.0] * len(sampled[1:]))
        trajectory.tokens = tokens
    assign_advantages([group], PLAIN)
    group.turn_advantages = [[0.5, 0.25, 2.0], [-0.5, -0.25, -2.0]]
    experience = gather_experience([group], Fixed(-3.0), None, 0, make_algorithm(), "s")
    values = experience.token_advantages()
    mask = experience.tokens.loss_mask
    assert values[mask].tolist() == [0.5, 0.5, 0.25, 2.0, 2.0, -0.5, -0.5, -0.25, -2.0, -2.0]
    (part,) = experience.minibatches(make_algorithm(), "s")
    assert sorted(part.advantages[part.loss_mask].tolist()) == sorted(values[mask].tolist())


@pytest.mark.parametrize("earlier", [(), ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"})])
def test_the_tokens_of_a_rollout_have_the_advantage_of_what_their_turn_could_earn(chat, earlier):
    said = [call() + END, "It is \\boxed{5}." + END], ["\\boxed{4}" + END]
    trajectories, _ = run(chat, {str(place): turns for place, turns in enumerate(said)}, earlier=earlier)
    for trajectory in trajectories:
        trajectory.task = replace(trajectory.task, reference=(ToolCall("add", {"a": 2, "b": 3}),))
    group = TrajectoryGroup(trajectories[0].task, trajectories)
    with build_reward(**load_preset("flexible"), by_turn=True) as reward:
        score_groups([group], reward, Ranks())
    assert [breakdown.total for breakdown in group.rewards] == [1.0, 0.0]
    assign_advantages([group], replace(PLAIN, by_turn=True))
    # the answer is worth 0.6 alone: what the call earned of match and valid is behind the second turn
    assert group.turn_advantages == [pytest.approx([0.5, 0.3]), pytest.approx([-0.5])]
    experience = gather_experience([group], Fixed(-1.0), None, chat.pad_id, make_algorithm(), "s")
    values, tokens = experience.token_advantages(), experience.tokens
    shown = {}
    for row in range(2):
        for value in (0.5, 0.3, -0.5):
            ids = tokens.token_ids[row][tokens.loss_mask[row] & values[row].isclose(torch.tensor(value))].tolist()
            shown[row, value] = chat.decode(ids)
    assert {place: text for place, text in shown.items() if text} == {
        (0, 0.5): said[0][0],
        (0, 0.3): said[0][1],
        (1, -0.5): said[1][0],
    }
