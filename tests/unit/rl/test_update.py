"""Optimiser steps on an experience: minibatches, metrics, and what the loss is given."""

import math

import pytest
import torch

from mentor.algorithm.loss import LossSettings
from mentor.policy import PolicyOutput
from mentor.policy.ranks import Ranks
from mentor.rl.advantages import assign_advantages
from mentor.rl.experience import gather_experience
from mentor.rl.update import make_loss_function, update_policy
from tests.fixtures.groups import PLAIN, Fixed, make_algorithm, make_group
from tests.fixtures.policies import make_tokens, policy_batch


def update(policy, groups, loss=None, seed="seed", **options):
    algorithm = make_algorithm(loss, **options)
    experience = gather_experience(groups, policy, None, 0, algorithm, seed)
    assign_advantages(groups, PLAIN)
    return update_policy(policy, experience, algorithm, seed, Ranks())


def test_mismatch_is_that_of_the_first_minibatch_and_of_no_later_one():
    largest = []
    for seed in ("a", "b", "c", "d", "e", "f"):
        group = make_group([1.0, 0.0, 0.5, 0.25])
        for member in (0, 1, 2, 3):
            group.trajectories[member].tokens.logprobs[-1] = -3.0 - 0.1 * member
        policy = Fixed(-3.0)
        stats = update(policy, [group], minibatches=4, seed=seed)
        difference = [float((part.sampler_logprobs + 3.0)[part.loss_mask].abs().max()) for part in policy.seen]
        assert stats["policy/mismatch_max"] == pytest.approx(difference[0])
        assert stats["policy/mismatch_kl"] == pytest.approx((math.exp(difference[0]) - 1 - difference[0]) / 5, rel=1e-4)
        assert stats["policy/updates"] == 4 and stats["policy/learning_rate"] == pytest.approx(0.1)
        largest.append(difference[0] == max(difference))
    assert not all(largest)  # a later minibatch differs more in some order, and is not looked at


def test_importance_is_logged_and_stays_out_of_the_ratio():
    # sampler -3, policy and old -2: the ratio is 1, the correction e, capped at 2
    group = make_group([1.0, 0.0])
    stats = update(Fixed(-2.0), [group], LossSettings(0.2, 0.28, importance_cap=2.0), recompute=True)
    assert stats["policy/ratio"] == pytest.approx(1.0) and stats["policy/importance_capped"] == pytest.approx(1.0)
    assert stats["policy/mismatch_max"] == pytest.approx(1.0) and stats["policy/mismatch_kl"] == pytest.approx(
        math.e - 2
    )
    plain = update(Fixed(-2.0), [make_group([1.0, 0.0])])
    assert plain["policy/ratio"] == pytest.approx(math.e) and "policy/importance_capped" not in plain


def test_a_constant_normaliser_scales_the_loss_and_leaves_means_alone():
    # 2 sequences of 5 tokens, divided by 2 * 20: a quarter of the token mean; advantages cancel, entropy is left
    rewards, losses = [1.0, 0.0], LossSettings(0.2, 0.28, entropy_coef=0.1)
    token = update(Fixed(-3.0), [make_group(rewards)], losses)
    constant = update(Fixed(-3.0), [make_group(rewards)], losses, loss_mean="constant")
    assert token["policy/loss"] == pytest.approx(-0.1 * 0.7)
    assert constant["policy/loss"] == pytest.approx(token["policy/loss"] / 4)
    for key in ("policy/ratio", "policy/entropy", "policy/clip_frac", "policy/learning_rate"):
        assert constant[key] == pytest.approx(token[key])


def test_tokens_of_every_epoch_are_counted():
    stats = update(Fixed(-3.0), [make_group([1.0, 0.0])], epochs=3)
    assert stats["policy/updates"] == 3 and stats["policy/tokens"] == 3 * 2 * 11 and stats["policy/trajectories"] == 2


def test_the_loss_is_given_each_token_its_sequences_advantage_and_old_logprobs():
    records = [make_tokens(0, 2, 2), make_tokens(1, 2, 1)]
    old = torch.where(policy_batch(records, [0.0, 0.0]).loss_mask, -2.0, 0.0)
    batch = policy_batch(records, [2.0, -1.0], old_logprobs=old)
    output = PolicyOutput(torch.full((3,), -2.0), torch.zeros(3))
    loss, stats = make_loss_function(LossSettings(0.2, 0.2, importance_cap=100.0))(output, batch)
    assert loss.item() == pytest.approx(-math.e * (2 + 2 - 1) / 3) and stats["policy/importance_capped"].item() == 0
