"""Which trajectories a step trains on, and the minibatches they are dealt out to."""

import pytest
import torch

from mentor.algorithm.loss import LossSettings
from mentor.policy.ranks import Ranks
from mentor.rl.advantages import assign_advantages
from mentor.rl.experience import gather_experience
from mentor.rl.reward_shaping import subtract_kl
from mentor.rl.update import update_policy
from mentor.types import StopReason
from tests.fixtures.groups import PLAIN, Fixed, make_algorithm, make_group
from tests.fixtures.policies import make_policy, make_tokens, policy_batch


def spread(count=8):
    """One group of trajectories of other lengths, whose advantages are their places."""
    group = make_group([float(i) for i in range(count)])
    for i, trajectory in enumerate(group.trajectories):
        trajectory.tokens = make_tokens(i, 3 + i % 4, 2 + 3 * (i % 3))
    group.advantages = [float(i) for i in range(count)]
    return group


def gather(groups, algorithm=None, policy=None, reference=None):
    return gather_experience(groups, policy or Fixed(-3.0), reference, 0, algorithm or make_algorithm(), "s")


def test_zero_variance_groups_ungraded_and_empty_trajectories_are_not_trained_on(student, chat):
    flat, mixed = make_group([0.5, 0.5]), make_group([1.0, None, 0.0])
    mixed.trajectories[2].tokens = type(mixed.trajectories[0].tokens)([1, 2], [False, False], [0.0, 0.0])
    experience = gather([flat, mixed])
    assert [(group is mixed, member) for group, member in experience.members] == [(True, 0)]
    policy, algorithm = make_policy(student, chat), make_algorithm(minibatches=2)
    assert update_policy(policy, gather([flat]), algorithm, "seed", Ranks())["policy/updates"] == 0
    assert policy.step == 0
    assign_advantages([flat, mixed], PLAIN)
    stats = update_policy(policy, experience, algorithm, "seed", Ranks())
    assert stats["policy/updates"] == 1 and stats["policy/trajectories"] == 1 and stats["policy/tokens"] == 11
    assert mixed.advantages == [0.5, None, -0.5] and flat.advantages == [0.0, 0.0]


def test_cut_trajectories_count_in_their_group_and_stay_out_of_the_loss_where_asked():
    group = make_group([1.0, 0.0, 0.0, 0.0])
    for member, reason in enumerate((StopReason.ANSWERED, StopReason.LENGTH, StopReason.MAX_TURNS)):
        group.trajectories[member].stop_reason = reason
    group.trajectories[3].stop_reason = StopReason.INVALID_CALLS  # its own doing
    assert [member for _, member in gather([group]).members] == [0, 1, 2, 3]
    experience = gather([group], make_algorithm(mask_cut=True))
    assert [member for _, member in experience.members] == [0, 3]
    assign_advantages([group], PLAIN)
    (part,) = experience.minibatches(make_algorithm(), "s")
    assert sorted(part.advantages[:, 0].tolist()) == [-0.25, 0.75] and part.weights.sum().item() == pytest.approx(1.0)


def test_without_a_signal_there_is_no_experience_and_no_model_is_asked():
    policy, reference = Fixed(-3.0), Fixed(-3.0)
    algorithm = make_algorithm(kl_coef=0.1, minibatches=2, recompute=True)
    experience = gather([make_group([0.5, 0.5])], algorithm, policy, reference)
    assert not experience.members and len(experience.tokens) == 0 and policy.calls == reference.calls == 0
    assert subtract_kl(experience, algorithm.shaping) == {}
    stats = update_policy(policy, experience, algorithm, "seed", Ranks())
    assert stats == {"policy/updates": 0.0, "policy/trajectories": 0.0, "policy/tokens": 0.0}


def test_every_epoch_deals_the_trajectories_out_anew():
    experience = gather([spread()])
    parts = list(experience.minibatches(make_algorithm(minibatches=2, epochs=2), "s"))
    rows = [part.advantages[:, 0].int().tolist() for part in parts]
    assert sorted(rows[0] + rows[1]) == sorted(rows[2] + rows[3]) == list(range(8))
    assert rows[:2] != rows[2:]
    assert all(part.weights.sum().item() == pytest.approx(1.0) for part in parts)
    again = experience.minibatches(make_algorithm(minibatches=2), "s")
    assert [part.advantages[:, 0].int().tolist() for part in again] == rows[:2]


def test_a_minibatch_is_what_collating_its_trajectories_alone_gives():
    group = spread()
    reference = Fixed(-2.0)
    algorithm = make_algorithm(LossSettings(0.2, 0.28, kl_coef=0.1), minibatches=3, loss_mean="sequence")
    for part in gather([group], algorithm, None, reference).minibatches(algorithm, "s"):
        members = part.advantages[:, 0].int().tolist()
        records = [group.trajectories[member].tokens for member in members]
        alone = policy_batch(records, [float(member) for member in members], 0, "sequence")
        for name in ("token_ids", "attention", "loss_mask", "weights", "sampler_logprobs"):
            assert torch.equal(getattr(part, name), getattr(alone, name)), name
        assert part.old_logprobs is None and torch.equal(part.ref_logprobs, reference.logprobs(alone))


def test_kl_in_the_reward_leaves_no_reference_logprobs_for_the_loss():
    algorithm = make_algorithm(kl_coef=0.1)
    (part,) = gather([spread()], algorithm, None, Fixed(-2.0)).minibatches(algorithm, "s")
    assert part.ref_logprobs is None
