"""Training on tokens that were drawn with top_k and top_p: sampler, policy and reference are among the same tokens."""

from dataclasses import replace

import pytest
import torch

from mentor.algorithm.loss import LossSettings
from mentor.environment import Environment, RolloutLimits, RolloutRequest
from mentor.policy import Truncation
from mentor.policy.ranks import Ranks
from mentor.rl.advantages import assign_advantages
from mentor.rl.experience import gather_experience
from mentor.rl.update import update_policy
from mentor.sampling import TransformersSampler
from mentor.tools import Toolbox, Toolset
from mentor.types import RewardBreakdown, Task, TrajectoryGroup
from tests.fixtures.groups import PLAIN, make_algorithm
from tests.fixtures.policies import make_policy
from tests.fixtures.students import make_wide_student

TASK = Task("t", "What is 2 plus 3?", ("5",), "calculator")
TRUNCATION = Truncation(top_k=8, top_p=0.7)
TEMPERATURE = 0.6


@pytest.fixture
def policy(chat):
    policy = make_policy(make_wide_student(chat), chat, learning_rate=1e-4, micro_batch_tokens=300)
    policy.engine.scorer.temperature = TEMPERATURE
    return policy


@pytest.fixture
def group(policy, chat):
    sampler = TransformersSampler(policy.model, chat.end_ids, shared=True)
    limits, toolbox = RolloutLimits(max_turn_tokens=24, max_tokens=512), Toolbox(Toolset.builtin("calculator"))
    drawn = {"temperature": TEMPERATURE, "top_p": TRUNCATION.top_p, "top_k": TRUNCATION.top_k}
    with Environment(sampler, toolbox, chat, limits) as environment:
        done = environment.rollout([RolloutRequest(TASK, seed=i, **drawn) for i in range(4)])
    return TrajectoryGroup(TASK, done, [RewardBreakdown(float(i % 2), {}) for i in range(4)])


def algorithm(**loss):
    return replace(make_algorithm(LossSettings(0.2, 0.2, **loss), minibatches=2, recompute=True), truncation=TRUNCATION)


def test_policy_and_sampler_agree_on_every_token_before_the_first_update(policy, group):
    experience = gather_experience([group], policy, policy, 0, algorithm(), "seed")
    mask = experience.tokens.loss_mask
    assert mask.sum() > 60 and experience.tokens.kept.shape == (4, mask.shape[1], 8)
    assert torch.allclose(experience.old_logprobs, experience.sampler_logprobs, atol=1e-4)
    among_all = policy.logprobs(replace(experience.tokens, kept=None))
    assert float((among_all - experience.sampler_logprobs)[mask].max()) < 0
    assert float((among_all - experience.sampler_logprobs)[mask].mean()) < -0.2
    # The policy is its own reference here, so each token's KL is 0 where both are among the same tokens.
    assert torch.allclose(experience.ref_logprobs, experience.old_logprobs, atol=1e-6)


@pytest.mark.parametrize("cap", [None, 2.0])
def test_an_update_is_among_the_same_tokens_and_moves_them_as_the_advantages_say(policy, group, cap):
    settings = algorithm(importance_cap=cap)
    experience = gather_experience([group], policy, None, 0, settings, "seed")
    assign_advantages([group], PLAIN)
    stats = update_policy(policy, experience, settings, "seed", Ranks())
    assert stats["policy/mismatch_max"] < 1e-4 and stats["policy/clip_frac"] < 0.2
    moved = (policy.logprobs(experience.tokens) - experience.old_logprobs).sum(1)
    advantages = torch.tensor(group.advantages)
    assert float((moved * advantages).sum()) > 0
    widest = float(torch.tensor(TRUNCATION.top_k).log())
    assert 0 < stats["policy/entropy"] < widest


def test_the_kept_tokens_stay_those_of_the_policy_that_sampled(policy, group):
    """After updates the logprobs are still among them: they sum to one over the kept tokens of each place."""
    settings = algorithm()
    experience = gather_experience([group], policy, None, 0, settings, "seed")
    assign_advantages([group], PLAIN)
    update_policy(policy, experience, settings, "seed", Ranks())
    tokens = experience.tokens
    row, place = (int(index) for index in tokens.loss_mask.nonzero()[5])
    kept = tokens.kept[row, place].unique()
    one = tokens.take(torch.tensor([row]))
    total = 0.0
    for token in kept.tolist():
        ids, mask = one.token_ids.clone(), torch.zeros_like(one.loss_mask)
        ids[0, place], mask[0, place] = token, True
        total += float(policy.logprobs(replace(one, token_ids=ids, loss_mask=mask))[0, place].exp())
    assert total == pytest.approx(1.0, abs=1e-5)
