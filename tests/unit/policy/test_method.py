"""A step of every method on a tiny policy: presets, choice of groups, shaped rewards, and splits."""

from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from mentor.algorithm.advantage import AdvantageSettings
from mentor.algorithm.batch import collate
from mentor.algorithm.loss import LossSettings
from mentor.conf_dir import conf_dir
from mentor.config import RlTrainer, build
from mentor.policy.method import Method, split_surplus
from mentor.policy.reinforce import ShapingSettings, UpdateSettings
from mentor.stages.rl import build_method
from mentor.types import RewardBreakdown, StopReason, Task, Trajectory, TrajectoryGroup
from tests.fixtures.students import make_small_student
from tests.unit.policy.test_torch_policy import gradients_of, make_policy, make_tokens, weights_of

PRESETS = sorted(path.stem for path in (conf_dir() / "trainer" / "algorithm").glob("*.yaml"))
EXTRAS = {"kl_coef": 0.05, "entropy_coef": 0.01, "importance_cap": 2.0}


def preset(name: str, **more) -> Method:
    values = OmegaConf.to_container(OmegaConf.load(conf_dir() / "trainer" / "algorithm" / f"{name}.yaml"))
    trainer = build(RlTrainer, {"minibatches": 1, "prompts_per_step": 2, **values, **more})
    return build_method(trainer, max_tokens=24, pad_id=0)


def make_group(seed: int, rewards: list[float]) -> TrajectoryGroup:
    """Members of 7, 10, 13, ... tokens, of which 4, 6, 8, ... are sampled."""
    task = Task(f"t{seed}", "q", ("1",), "calculator")
    tokens = [make_tokens(10 * seed + i, 3 + i, 4 + 2 * i) for i in range(len(rewards))]
    trajectories = [Trajectory(task, [], "[]", StopReason.ANSWERED, [], entry) for entry in tokens]
    breakdowns = [RewardBreakdown(reward, {"correct": reward}, parts={"correct": reward}) for reward in rewards]
    return TrajectoryGroup(task, trajectories, breakdowns)


def mixed_groups() -> list[TrajectoryGroup]:
    return [make_group(1, [1.0, 0.0, 0.5]), make_group(2, [0.0, 1.0, 1.0])]


def with_sampler_logprobs(groups, policy):
    """As if the policy had sampled them, up to the noise of another engine."""
    for group in groups:
        for trajectory in group.trajectories:
            batch = collate([trajectory.tokens], [0.0], 0, "token")
            own = policy.logprobs(batch)[0].tolist()
            trajectory.tokens.logprobs[:] = [value + 0.01 * (i % 3 - 1) for i, value in enumerate(own)]
    return groups


class Counting:
    """A reference that counts how often it is asked."""

    def __init__(self, policy):
        self.policy, self.asked = policy, 0

    def logprobs(self, batch):
        self.asked += 1
        return self.policy.logprobs(batch)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("placement", ["loss", "reward"])
def test_every_preset_trains_and_no_split_changes_its_gradient(chat, name, placement):
    results = []
    reference = make_policy(make_small_student(chat, seed=3), chat)
    for budget in (10_000, 30, 1):
        policy = make_policy(make_small_student(chat), chat, micro_batch_tokens=budget)
        method = preset(name, **EXTRAS, kl_placement=placement)
        before = weights_of(policy)
        sampled = with_sampler_logprobs(mixed_groups(), policy)
        _, chosen, _ = method.sample(lambda number, sampled=sampled: sampled)
        stats = method.update(policy, reference, chosen, "seed")
        assert stats["policy/updates"] == 1 and all(torch.isfinite(torch.tensor(value)) for value in stats.values())
        assert any(not torch.equal(value, before[name]) for name, value in policy.weights())
        assert stats.pop("policy/mismatch_max") == pytest.approx(0.01, rel=1e-2)  # of one token, with its rounding
        results.append((stats, gradients_of(policy)))
    (whole, gradients), *others = results
    for stats, other in others:
        assert stats == pytest.approx(whole, rel=1e-4, abs=1e-6)
        assert all(torch.allclose(gradients[key], other[key], rtol=1e-3, atol=1e-6) for key in gradients)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_as_it_is_takes_two_steps(chat, name):
    policy = make_policy(make_small_student(chat), chat)
    method = preset(name, minibatches=2)
    for step in (1, 2):
        before = weights_of(policy)
        sampled = with_sampler_logprobs(mixed_groups(), policy)
        groups, chosen, _ = method.sample(lambda number, sampled=sampled: sampled)
        stats = method.update(policy, None, chosen, f"seed/{step}")
        assert stats["policy/updates"] == 2 and policy.step == 2 * step
        assert all(torch.isfinite(torch.tensor(value)) for value in stats.values())
        assert any(not torch.equal(value, before[name]) for name, value in policy.weights())
        assert all(None not in group.advantages for group in groups)


def test_the_presets_are_the_methods_they_name():
    assert preset("grpo").advantage == AdvantageSettings("group", True)
    assert preset("dr_grpo").advantage == AdvantageSettings("group", False)
    assert preset("dr_grpo").updating.loss_mean == "constant"
    assert preset("rloo").advantage == AdvantageSettings("leave_one_out", False)
    dapo = preset("dapo")
    assert dapo.rounds > 1 and dapo.loss.clip_high > dapo.loss.clip_low and dapo.shaping.overlong_buffer_tokens
    assert preset("gspo").loss.ratio == "sequence" and preset("gspo").updating.loss_mean == "sequence"


def test_kl_is_in_the_loss_or_in_the_reward_never_in_both():
    for placement, coefficients in (("loss", (0.5, 0.0)), ("reward", (0.0, 0.5))):
        method = preset("grpo", kl_coef=0.5, kl_placement=placement)
        assert (method.loss.kl_coef, method.shaping.kl_coef) == coefficients


def test_dynamic_sampling_goes_on_until_enough_groups_teach_and_drops_the_rest():
    rounds = [
        [make_group(1, [1.0, 1.0]), make_group(2, [1.0, 0.0])],
        [make_group(3, [0.0, 1.0]), make_group(4, [1.0, 0.0])],
        [make_group(5, [0.0, 1.0]), make_group(6, [1.0, 0.0])],
    ]
    method = replace(preset("grpo"), rounds=3)
    groups, chosen, metrics = method.sample(lambda number: rounds[number])
    assert [group.task.id for group in groups] == ["t1", "t2", "t3", "t4"]
    assert [group.task.id for group in chosen] == ["t1", "t2", "t3"]
    assert groups[3].advantages == [None, None]
    assert metrics == {"rollout/rounds": 2, "groups/dropped": 0.25}


def test_a_step_goes_on_with_what_there_is_when_its_rounds_are_used_up():
    method = replace(preset("grpo"), rounds=3)
    rounds = [[make_group(8, [1.0, float(number > 0)]), make_group(7, [0.0, 0.0])] for number in range(3)]
    groups, chosen, metrics = method.sample(lambda number: rounds[number])
    assert groups == chosen == [*rounds[0], *rounds[1], *rounds[2]]
    assert metrics == {"rollout/rounds": 3, "groups/dropped": 0.0}


def test_a_single_round_keeps_every_group_and_says_nothing():
    two = [make_group(1, [1.0, 1.0]), make_group(2, [1.0, 0.0])]
    assert preset("grpo").sample(lambda number: two) == (two, two, {})
    assert split_surplus(two, 0) == ([two[0]], [two[1]])


def test_kl_and_length_are_taken_from_rewards_before_advantages(student, chat):
    policy, reference = make_policy(student, chat), make_policy(make_small_student(chat, seed=3), chat)
    shaping = ShapingSettings(max_tokens=12, overlong_buffer_tokens=5, overlong_penalty=2.0, kl_coef=0.1)
    plain = AdvantageSettings("group", False)
    method = Method(plain, shaping, LossSettings(0.2, 0.2), UpdateSettings(1, 12), prompts=2, pad_id=0)
    groups, chosen, _ = method.sample(lambda number: [make_group(1, [1.0, 0.0])])
    first, second = groups[0].rewards
    assert first.parts == {"correct": 1.0, "overlong": 0.0}  # 7 of 12 tokens
    assert second.parts["overlong"] == pytest.approx(2.0 * -3 / 5)  # 10 of 12 tokens, 3 into the buffer of 5
    stats = method.update(policy, reference, chosen, "seed")
    first, second = groups[0].rewards
    assert first.parts["kl"] < 0 and second.parts["kl"] < 0  # k3 is never negative
    for breakdown in (first, second):
        assert breakdown.total == pytest.approx(sum(breakdown.parts.values()))
    assert groups[0].advantages[0] == pytest.approx((first.total - second.total) / 2)
    # 4 and 6 trained tokens; the loss has no KL term beside
    assert stats["policy/kl"] == pytest.approx(-(first.parts["kl"] + second.parts["kl"]) / 0.1 / 10)


@pytest.mark.parametrize("placement", ["loss", "reward"])
def test_policy_and_reference_are_asked_once_whatever_the_epochs(chat, placement, monkeypatch):
    policy, reference = (
        make_policy(make_small_student(chat), chat),
        Counting(make_policy(make_small_student(chat), chat)),
    )
    asked = []
    logprobs = policy.logprobs
    monkeypatch.setattr(policy, "logprobs", lambda batch: asked.append(len(batch)) or logprobs(batch))
    method = preset("grpo", **EXTRAS, kl_placement=placement, epochs=3, minibatches=2)
    stats = method.update(policy, reference, mixed_groups(), "seed")
    assert stats["policy/updates"] == 6 == policy.step
    assert asked == [6] and reference.asked == 1
