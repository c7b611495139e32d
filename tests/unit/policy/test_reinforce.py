"""What is learned from and how: choice of trajectories, KL in the reward, minibatches, and what the loss is given."""

import math

import pytest
import torch

from mentor.algorithm.advantage import AdvantageSettings
from mentor.algorithm.batch import collate
from mentor.algorithm.loss import LossSettings
from mentor.policy.base import PolicyOutput
from mentor.policy.reinforce import (
    UpdateSettings,
    assign_advantages,
    charge_kl,
    gather_experience,
    make_loss_function,
    minibatches,
    update_policy,
)
from mentor.types import RewardBreakdown, StopReason, Task, Tokens, Trajectory, TrajectoryGroup
from tests.unit.policy.test_torch_policy import make_batch, make_policy, make_tokens

PLAIN = AdvantageSettings("group", normalize_std=False)


def make_group(rewards, sampled=5):
    task = Task("t", "q", ("1",), "calculator")
    tokens = [make_tokens(i, sampled=sampled) for i in range(len(rewards))]
    trajectories = [Trajectory(task, [], "[]", StopReason.ANSWERED, [], entry) for entry in tokens]
    return TrajectoryGroup(task, trajectories, [RewardBreakdown(reward, {}) for reward in rewards])


class Fixed:
    """A model that gives every trained token the same logprob; an engine that only notes what it is handed."""

    def __init__(self, logprob):
        self.logprob, self.seen, self.calls = logprob, [], 0

    def logprobs(self, batch):
        self.calls += 1
        return torch.where(batch.loss_mask, self.logprob, 0.0)

    def update(self, batch, loss_function):
        self.seen.append(batch)
        tokens = int(batch.loss_mask.sum())
        output = PolicyOutput(torch.full((tokens,), self.logprob), torch.full((tokens,), 0.7))
        loss, stats = loss_function(output, batch)
        return {**{key: float(value) for key, value in stats.items()}, "policy/learning_rate": 0.1}


def update(policy, groups, loss=None, reference=None, recompute=False, **options):
    experience = gather_experience(groups, policy, reference, 0, recompute)
    assign_advantages(groups, PLAIN)
    settings = UpdateSettings(**{"minibatches": 1, "max_tokens": 20, **options})
    return update_policy(policy, experience, make_loss_function(loss or LossSettings(0.2, 0.28)), settings, "seed")


def test_dead_groups_ungraded_and_empty_trajectories_are_not_trained_on(student, chat):
    dead, live = make_group([0.5, 0.5]), make_group([1.0, None, 0.0])
    live.trajectories[2].tokens = Tokens([1, 2], [False, False], [0.0, 0.0])
    policy = make_policy(student, chat)
    experience = gather_experience([dead, live], policy, None, 0, recompute=False)
    assert [(group is live, member) for group, member in experience.places] == [(True, 0)]
    assert update(policy, [dead], minibatches=2)["policy/updates"] == 0
    assert policy.step == 0
    stats = update(policy, [dead, live], minibatches=2)
    assert stats["policy/updates"] == 1 and stats["policy/trajectories"] == 1 and stats["policy/tokens"] == 11
    assert live.advantages == [0.5, None, -0.5] and dead.advantages == [0.0, 0.0]


def test_kl_is_charged_as_a_sum_over_trained_tokens():
    # sampler -3, reference -3.5: d = 0.5 on 5 tokens; k1 is d, k3 e^-0.5 - 1 + 0.5
    for estimator, each in (("k1", 0.5), ("k3", math.exp(-0.5) - 0.5)):
        group, dead = make_group([1.0, 0.0, None]), make_group([0.5, 0.5])
        experience = gather_experience([group, dead], Fixed(-9.0), Fixed(-3.5), 0, recompute=False)
        assert charge_kl(experience, 0.1, estimator) == {"policy/kl": pytest.approx(each)}
        assert group.rewards[0].parts == {"total": 1.0, "kl": pytest.approx(-0.1 * 5 * each)}
        assert group.rewards[0].total == pytest.approx(1.0 - 0.1 * 5 * each)
        assert group.rewards[2].total is None and not group.rewards[2].parts
        assert [reward.parts for reward in dead.rewards] == [{}, {}]
        assert experience.batch.ref_logprobs is None  # no KL term is left for the loss


def test_kl_is_charged_to_the_policy_itself_where_its_logprobs_were_recomputed():
    group = make_group([1.0, 0.0])
    charge_kl(gather_experience([group], Fixed(-3.2), Fixed(-3.5), 0, recompute=True), 1.0, "k1")
    assert group.rewards[1].parts["kl"] == pytest.approx(-5 * 0.3)


def test_nothing_that_teaches_is_no_experience_and_no_question():
    policy, reference = Fixed(-3.0), Fixed(-3.0)
    experience = gather_experience([make_group([0.5, 0.5])], policy, reference, 0, recompute=True)
    assert not experience.places and len(experience.batch) == 0 and policy.calls == reference.calls == 0
    assert charge_kl(experience, 0.1, "k3") == {}
    settings = UpdateSettings(minibatches=2, max_tokens=20)
    stats = update_policy(policy, experience, make_loss_function(LossSettings(0.2, 0.2)), settings, "seed")
    assert stats == {"policy/updates": 0.0, "policy/trajectories": 0.0, "policy/tokens": 0.0}


def test_mismatch_is_that_of_the_first_minibatch():
    group = make_group([1.0, 0.0, 0.5, 0.25])
    for member in (0, 1, 2, 3):
        group.trajectories[member].tokens.logprobs[-1] = -3.0 - 0.1 * member
    policy = Fixed(-3.0)
    stats = update(policy, [group], minibatches=4)
    first = policy.seen[0]
    largest = float((first.sampler_logprobs + 3.0)[first.loss_mask].abs().max())
    assert stats["policy/mismatch_max"] == pytest.approx(largest)
    assert stats["policy/mismatch_kl"] == pytest.approx((math.exp(largest) - 1 - largest) / 5)
    assert stats["policy/updates"] == 4 and stats["policy/learning_rate"] == pytest.approx(0.1)


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


def test_epochs_deal_the_rows_out_anew():
    batch = make_batch(8)
    batch.advantages = torch.arange(8.0)
    parts = list(minibatches(batch, UpdateSettings(minibatches=2, max_tokens=30, epochs=2), "s"))
    rows = [part.advantages.int().tolist() for part in parts]
    assert sorted(rows[0] + rows[1]) == sorted(rows[2] + rows[3]) == list(range(8))
    assert rows[:2] != rows[2:]
    assert all(part.weights.sum().item() == pytest.approx(1.0) for part in parts)
    again = minibatches(batch, UpdateSettings(minibatches=2, max_tokens=30), "s")
    assert [part.advantages.int().tolist() for part in again] == rows[:2]


def test_a_minibatch_is_what_collating_its_rows_alone_gives():
    records = [make_tokens(i, 3 + i % 4, 2 + 3 * (i % 3)) for i in range(8)]
    whole = collate(records, [float(i) for i in range(8)], 0, "token")
    for part in minibatches(whole, UpdateSettings(minibatches=3, max_tokens=30, loss_mean="sequence"), "s"):
        rows = part.advantages.int().tolist()
        alone = collate([records[row] for row in rows], [float(row) for row in rows], 0, "sequence")
        for name in ("token_ids", "attention", "loss_mask", "weights", "sampler_logprobs"):
            assert torch.equal(getattr(part, name), getattr(alone, name)), name


def test_tokens_of_every_epoch_are_counted():
    stats = update(Fixed(-3.0), [make_group([1.0, 0.0])], epochs=3)
    assert stats["policy/updates"] == 3 and stats["policy/tokens"] == 3 * 2 * 11 and stats["policy/trajectories"] == 2


def test_the_loss_is_given_each_token_its_sequences_advantage_and_old_logprobs():
    batch = collate([make_tokens(0, 2, 2), make_tokens(1, 2, 1)], [2.0, -1.0], 0, "token")
    batch.old_logprobs = torch.where(batch.loss_mask, -2.0, 0.0)
    output = PolicyOutput(torch.full((3,), -2.0), torch.zeros(3))
    loss, stats = make_loss_function(LossSettings(0.2, 0.2, importance_cap=100.0))(output, batch)
    assert loss.item() == pytest.approx(-math.e * (2 + 2 - 1) / 3) and stats["policy/importance_capped"].item() == 0
