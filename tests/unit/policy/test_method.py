"""A step of every method on a tiny policy: presets, choice of groups, shaped rewards, epochs, and splits."""

from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from mentor.algorithm.advantage import AdvantageSettings
from mentor.algorithm.batch import collate
from mentor.algorithm.loss import LossSettings
from mentor.conf_dir import conf_dir
from mentor.config import RlTrainer, build
from mentor.policy.method import Method
from mentor.policy.reinforce import ShapingSettings, UpdateSettings, minibatches
from mentor.stages.rl import build_method
from mentor.types import RewardBreakdown, StopReason, Task, Trajectory, TrajectoryGroup
from tests.fixtures.students import make_small_student
from tests.unit.policy.test_torch_policy import gradients_of, make_batch, make_policy, make_tokens, weights_of

PRESETS = sorted(path.stem for path in (conf_dir() / "trainer" / "algorithm").glob("*.yaml"))
EXTRAS = {"kl_coef": 0.05, "entropy_coef": 0.01, "importance_cap": 2.0}


def preset(name: str, **more) -> Method:
    values = OmegaConf.to_container(OmegaConf.load(conf_dir() / "trainer" / "algorithm" / f"{name}.yaml"))
    trainer = build(RlTrainer, {"minibatches": 1, "prompts_per_step": 2, **values, **more})
    return build_method(trainer, max_tokens=24, pad_id=0)


def make_group(seed: int, rewards: list[float]) -> TrajectoryGroup:
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


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("placement", ["loss", "reward"])
def test_every_preset_trains_and_no_split_changes_its_gradient(chat, name, placement):
    results = []
    reference = make_policy(make_small_student(chat, seed=3), chat)
    for budget in (10_000, 30, 1):
        policy = make_policy(make_small_student(chat), chat, micro_batch_tokens=budget)
        method = preset(name, **EXTRAS, kl_placement=placement)
        before = weights_of(policy)
        groups, chosen, _ = method.sample(lambda n: with_sampler_logprobs(mixed_groups(), policy), policy, reference)
        stats = method.update(policy, reference, chosen, "seed")
        assert stats["policy/updates"] == 1 and all(torch.isfinite(torch.tensor(value)) for value in stats.values())
        assert any(not torch.equal(value, before[name]) for name, value in policy.weights())
        assert ("policy/kl" in stats) == (placement == "loss")
        results.append((stats, gradients_of(policy)))
    (whole, gradients), *others = results
    for stats, other in others:
        assert stats == pytest.approx(whole, rel=1e-4, abs=1e-6)
        assert all(torch.allclose(gradients[key], other[key], rtol=1e-3, atol=1e-6) for key in gradients)


def test_the_presets_are_the_methods_they_name():
    assert preset("grpo").advantage == AdvantageSettings("group", True)
    assert preset("dr_grpo").advantage == AdvantageSettings("group", False)
    assert preset("dr_grpo").update_settings.loss_mean == "constant"
    assert preset("rloo").advantage == AdvantageSettings("leave_one_out", False)
    dapo = preset("dapo")
    assert dapo.rounds > 1 and dapo.loss.clip_high > dapo.loss.clip_low and dapo.shaping.overlong_buffer_tokens
    assert preset("gspo").loss.ratio == "sequence"


def test_dynamic_sampling_goes_on_until_enough_groups_teach_and_drops_the_rest(student, chat):
    policy = make_policy(student, chat)
    rounds = [
        [make_group(1, [1.0, 1.0]), make_group(2, [1.0, 0.0])],
        [make_group(3, [0.0, 1.0]), make_group(4, [1.0, 0.0])],
        [make_group(5, [0.0, 1.0]), make_group(6, [1.0, 0.0])],
    ]
    method = replace(preset("grpo"), rounds=3)
    groups, chosen, metrics = method.sample(lambda n: rounds[n], policy, None)
    assert [group.task.id for group in groups] == ["t1", "t2", "t3", "t4"]
    assert [group.task.id for group in chosen] == ["t2", "t3"]
    assert metrics == {"groups/rounds": 2, "groups/left_over": 1}
    dead = [make_group(7, [0.0, 0.0]), make_group(8, [1.0, 1.0])]
    groups, chosen, metrics = method.sample(lambda n: dead, policy, None)
    assert len(groups) == 6 and not chosen and metrics["groups/rounds"] == 3


def test_kl_and_length_are_taken_from_rewards_before_advantages(student, chat):
    policy, reference = make_policy(student, chat), make_policy(make_small_student(chat, seed=3), chat)
    shaping = ShapingSettings(max_tokens=12, overlong_buffer_tokens=5, overlong_penalty=2.0, kl_coef=0.1)
    method = Method(
        AdvantageSettings("group", False), shaping, LossSettings(0.2, 0.2), UpdateSettings(1, 0), 2, kl_in_reward=True
    )
    groups, _, _ = method.sample(lambda n: [make_group(1, [1.0, 0.0])], policy, reference)
    first, second = groups[0].rewards
    assert first.parts["overlong"] == 0.0  # 7 of 12 tokens
    assert second.parts["overlong"] == pytest.approx(2.0 * -3 / 5)  # 10 of 12 tokens, 3 into the buffer of 5
    assert first.parts["kl"] < 0 and second.parts["kl"] < 0  # k3 is never negative
    for breakdown in (first, second):
        assert breakdown.total == pytest.approx(sum(breakdown.parts.values()))
    assert groups[0].advantages[0] == pytest.approx((first.total - second.total) / 2)


def test_epochs_deal_the_rows_out_anew(chat):
    batch = make_batch(8)
    batch.advantages = torch.arange(8.0)
    parts = list(minibatches(batch, UpdateSettings(minibatches=2, pad_id=0, epochs=2), "s"))
    rows = [part.advantages.int().tolist() for part in parts]
    assert sorted(rows[0] + rows[1]) == sorted(rows[2] + rows[3]) == list(range(8))
    assert rows[:2] != rows[2:]
    assert all(part.weights.sum().item() == pytest.approx(1.0) for part in parts)
