"""A step of every algorithm on a tiny policy: presets, dynamic sampling, shaped rewards, and splits."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from statistics import fmean

import pytest
import torch
from omegaconf import OmegaConf

from mentor.algorithm.advantage import AdvantageSettings
from mentor.algorithm.batch import supervised_batch
from mentor.conf_dir import conf_dir
from mentor.config import RlTrainer, SamplerConfig, build
from mentor.policy import OptimizerSettings
from mentor.policy.model import make_student
from mentor.policy.ranks import Ranks
from mentor.policy.supervised import batches, supervised_loss
from mentor.rl.advantages import assign_advantages
from mentor.rl.experience import gather_experience
from mentor.rl.reward_shaping import subtract_kl, subtract_overlong
from mentor.rl.settings import AlgorithmSettings
from mentor.rl.update import update_policy
from mentor.sampling import SamplingParams, TransformersSampler
from mentor.stages.rl_settings import algorithm_settings
from mentor.types import RewardBreakdown, StopReason, Task, Tokens, Trajectory, TrajectoryGroup
from tests.fixtures.policies import build_policy, gradients_of, make_policy, make_tokens, policy_batch, weights_of
from tests.fixtures.samplers import drain
from tests.fixtures.students import make_small_student

PRESETS = sorted(path.stem for path in (conf_dir() / "trainer" / "algorithm").glob("*.yaml"))
EXTRAS = {"kl_coef": 0.05, "entropy_coef": 0.01, "old_logprobs": "policy", "importance_cap": 2.0}


def preset(name: str, **more) -> AlgorithmSettings:
    values = OmegaConf.to_container(OmegaConf.load(conf_dir() / "trainer" / "algorithm" / f"{name}.yaml"))
    own = values.get("trainer", values)  # opd also sets distill.*
    trainer = build(RlTrainer, {"minibatches": 1, "prompts_per_step": 2, **own, **more})
    return algorithm_settings(trainer, SamplerConfig(max_tokens=24))


def step(algorithm, policy, reference, groups, seed="seed") -> dict[str, float]:
    """From scored groups on, as the stage does it."""
    subtract_overlong(groups, algorithm.shaping)
    experience = gather_experience(groups, policy, reference, 0, algorithm, seed)
    stats = subtract_kl(experience, algorithm.shaping)
    assign_advantages(groups, algorithm.advantage)
    return stats | update_policy(policy, experience, algorithm, seed, Ranks())


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
            batch = policy_batch([trajectory.tokens], [0.0])
            own = policy.logprobs(batch)[0].tolist()
            trajectory.tokens.logprobs[:] = [value + 0.01 * (i % 3 - 1) for i, value in enumerate(own)]
    return groups


def sampled_groups(sampler, contexts, size, tokens) -> list[TrajectoryGroup]:
    """Groups of trajectories of at most `tokens` tokens, one of each context, with random rewards."""
    groups = []
    for number, context in enumerate(contexts):
        for member in range(size):
            sampler.add_request(str(member), context, SamplingParams(tokens, seed=size * number + member))
        rng = random.Random(number)
        group = make_group(number, [float(rng.random() < 0.5) for _ in range(size)])
        for session, completion in drain(sampler).items():
            record = Tokens()
            record.append_context(context)
            record.append_sampled(completion.token_ids, completion.logprobs)
            group.trajectories[int(session)].tokens = record
            sampler.end_session(session)
        groups.append(group)
    return groups


@pytest.mark.parametrize("packing", [False, True])
def test_gspo_in_bfloat16_clips_nothing_before_the_first_update(chat, packing):
    """Against the sampler's own logprobs it would: its clip bounds lie below the rounding of two engines."""
    sampler = TransformersSampler(make_small_student(chat), chat.end_ids, dtype=torch.bfloat16)
    contexts = [chat.encode(f"What is {number} + {17 * number}?" + " Think." * (number % 3)) for number in range(4)]
    groups = sampled_groups(sampler, contexts, size=4, tokens=16)
    clipped = {}
    for old in ("policy", "sampler"):
        model, settings = make_small_student(chat), OptimizerSettings("adamw", learning_rate=2e-4)
        policy = build_policy(model, chat.tokenizer, settings, torch.bfloat16, micro_batch_tokens=150, packing=packing)
        with watched_updates(policy) as updates:
            step(preset("gspo", minibatches=2, old_logprobs=old), policy, None, groups)
        clipped[old] = [stats["policy/clip_frac"] for stats in updates]
    first, later = clipped["policy"]
    assert first == 0 and later > 0.1, "the weights that were moved are clipped alone"
    assert clipped["sampler"][0] > 0.1


@pytest.mark.slow
def test_gspo_in_bfloat16_clips_as_many_later_ratios_as_in_float32(chat, conversations):
    """Of a student that knows its conversations a little: one at random amplifies rounding."""
    records = [chat.render(trajectory) for trajectory in conversations]
    base = pretrained(chat, records)
    sampler = TransformersSampler(base, chat.end_ids, dtype=torch.bfloat16)
    groups = sampled_groups(sampler, [record.token_ids[:120] for record in records[:16]], size=16, tokens=24)
    shares = []
    for dtype in (torch.float32, torch.bfloat16):
        settings = OptimizerSettings("adamw", learning_rate=1e-3)
        policy = build_policy(copy.deepcopy(base), chat.tokenizer, settings, dtype)
        with watched_updates(policy) as updates:
            step(preset("gspo", minibatches=3), policy, None, groups)
        shares.append([stats["policy/clip_frac"] for stats in updates])
    (first, *later), (half_first, *half_later) = shares
    assert first == half_first == 0 and fmean(later) > 0.2
    assert fmean(half_later) == pytest.approx(fmean(later), abs=0.02)


def pretrained(chat, records):
    """A student of two layers after sixty supervised steps."""
    student = make_student(
        0,
        vocab_size=len(chat.tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        eos_token_id=chat.eos_id,
        pad_token_id=chat.pad_id,
    )
    policy = build_policy(student, chat.tokenizer, OptimizerSettings("muon", learning_rate=3e-3))
    for part in islice(batches(records, batch_tokens=2048, seed=0), 60):
        policy.update(supervised_batch(part, chat.pad_id), supervised_loss, with_entropies=False)
    return student


@contextmanager
def watched_updates(policy) -> Iterator[list[dict[str, float]]]:
    """Collect the stats of every optimiser step."""
    update, seen = policy.update, []
    policy.update = lambda *arguments: seen.append(update(*arguments)) or seen[-1]
    yield seen
    policy.update = update


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
        algorithm = preset(name, **EXTRAS, kl_placement=placement)
        before = weights_of(policy)
        stats = step(algorithm, policy, reference, with_sampler_logprobs(mixed_groups(), policy))
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
    algorithm = preset(name, minibatches=2)
    for number in (1, 2):
        before = weights_of(policy)
        groups = with_sampler_logprobs(mixed_groups(), policy)
        stats = step(algorithm, policy, None, groups, f"seed/{number}")
        assert stats["policy/updates"] == 2 and policy.step == 2 * number
        assert all(torch.isfinite(torch.tensor(value)) for value in stats.values())
        assert any(not torch.equal(value, before[name]) for name, value in policy.weights())
        assert all(None not in group.advantages for group in groups)


def test_the_presets_are_the_algorithms_they_name():
    assert preset("grpo").advantage == AdvantageSettings("group", True)
    assert preset("dr_grpo").advantage == AdvantageSettings("group", False)
    assert preset("dr_grpo").update.loss_mean == "constant"
    assert preset("rloo").advantage == AdvantageSettings("leave_one_out", False)
    dapo = preset("dapo")
    assert dapo.rounds > 1 and dapo.loss.clip_high > dapo.loss.clip_low and dapo.shaping.overlong_buffer_tokens
    assert preset("gspo").loss.ratio == "sequence" and preset("gspo").update.loss_mean == "sequence"


def test_kl_is_in_the_loss_or_in_the_reward_never_in_both():
    for placement, coefficients in (("loss", (0.5, 0.0)), ("reward", (0.0, 0.5))):
        algorithm = preset("grpo", kl_coef=0.5, kl_placement=placement)
        assert (algorithm.loss.kl_coef, algorithm.shaping.kl_coef) == coefficients


def test_kl_and_length_are_subtracted_from_rewards_before_advantages(student, chat):
    policy, reference = make_policy(student, chat), make_policy(make_small_student(chat, seed=3), chat)
    shaped = {"overlong_buffer_tokens": 17, "overlong_penalty": 2.0, "kl_coef": 0.1, "kl_placement": "reward"}
    algorithm = preset("grpo", normalize_std=False, **shaped)
    group = make_group(1, [1.0, 0.0])
    stats = step(algorithm, policy, reference, [group])
    first, second = group.rewards
    assert first.parts["overlong"] == 0.0  # 7 of 24 tokens
    assert second.parts["overlong"] == pytest.approx(2.0 * -3 / 17)  # 10 of 24 tokens, 3 into the buffer of 17
    assert first.parts["kl"] < 0 and second.parts["kl"] < 0  # k3 is never negative
    for breakdown in (first, second):
        assert breakdown.total == pytest.approx(sum(breakdown.parts.values()))
    assert group.advantages[0] == pytest.approx((first.total - second.total) / 2)
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
    algorithm = preset("grpo", **EXTRAS, kl_placement=placement, epochs=3, minibatches=2)
    stats = step(algorithm, policy, reference, mixed_groups())
    assert stats["policy/updates"] == 6 == policy.step
    assert asked == [3, 3] and reference.asked == 1  # a minibatch of the first epoch at a time
