"""`stage=rl`: group-relative policy optimisation (GRPO, arXiv:2402.03300) with multi-turn tool rollouts.

All rewards train on the same tasks: those the teacher solved. Departures from the textbook: groups whose rewards are
all equal are skipped; the clipped ratio is taken against the sampler's own logprobs; both clip bounds are free.
Everything random derives from the seed and the step, so a resumed run draws what an unbroken one would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from time import perf_counter

from mentor.algorithm.advantage import group_advantages
from mentor.algorithm.loss import LossSettings
from mentor.chat import ChatFormat
from mentor.config import Config, ModelConfig, RewardConfig, RlStage, RlTrainer, SamplerConfig, ToolsConfig
from mentor.environment import Environment, RolloutLimits
from mentor.environment.groups import as_groups, group_requests
from mentor.environment.sharing import shared_rollout, shared_scores
from mentor.errors import InputError, StageError
from mentor.evaluation.history import History
from mentor.jsonl import JsonlWriter, roll_back
from mentor.loggers import Logger
from mentor.policy import TorchPolicy
from mentor.policy.base import Reference
from mentor.policy.checkpoint import latest_checkpoint, save_checkpoint, write_whole
from mentor.policy.lora import BaseOfAdapters
from mentor.policy.ranks import Ranks, joined
from mentor.policy.reinforce import make_loss_function, update_policy
from mentor.progress import phase
from mentor.rewards import build_reward
from mentor.runs import RunFolder, base_model
from mentor.sampling import Canary, Sampler, build_sampler, push_weights
from mentor.stages import StageResult
from mentor.stages.training import build_policy, load_student, seed_everything
from mentor.tools import ToolExecutor, build_toolset
from mentor.trajectories.store import load_trajectories
from mentor.types import Trajectory, TrajectoryGroup


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    assert isinstance(config.trainer, RlTrainer)
    with joined(deepspeed=config.trainer.deepspeed.stage > 0) as ranks:
        return train(config, folder, logger, ranks)


def train(config: Config, folder: RunFolder, logger: Logger, ranks: Ranks) -> StageResult:
    """Every process has all groups; each rolls out, scores and trains on its share of them, the first one writes."""
    stage, trainer, reward_settings = config.stage, config.trainer, config.reward
    tools, sampling, model = config.tools, config.sampler, config.model
    assert isinstance(stage, RlStage) and isinstance(trainer, RlTrainer) and isinstance(reward_settings, RewardConfig)
    assert isinstance(tools, ToolsConfig) and isinstance(sampling, SamplerConfig) and isinstance(model, ModelConfig)
    began = perf_counter()
    seed_everything(config.seed)
    toolset = build_toolset(tools.name, tools.path)
    taught = teacher_trajectories(folder, toolset.schemas_json)[: stage.limit]
    tasks = [trajectory.task for trajectory in taught]
    base = base_model(config, folder.root)
    chat = ChatFormat.from_pretrained(base, model.chat_template, model.question_template, model.enable_thinking)
    expected_tokens = conversation_tokens(taught, chat)
    make = partial(build_policy, chat=chat, model=model, trainer=trainer, temperature=sampling.temperature, ranks=ranks)
    policy = make(load_student(base, model, trainer), optimizer_steps=trainer.steps * trainer.minibatches)
    reference = build_reference(policy, base, model, trainer, make) if trainer.kl_coef > 0 else None
    start = resume(folder, policy, logger, ranks)
    canary = Canary(chat.prompt_ids(tasks[0].question, toolset.schemas_json))
    executor = ToolExecutor(toolset, tools.timeout_s, tools.memory_mib, tools.workers, tools.max_output_chars)
    loss_function = make_loss_function(
        LossSettings(trainer.clip_low, trainer.clip_high, trainer.kl_coef, trainer.kl_estimator)
    )
    history = History(folder.path / "metrics.jsonl")
    logger.message(budget(trainer, sampling, len(tasks), start))
    with (
        closing(policy_sampler(sampling, policy, base, chat.eos_id, ranks)) as sampler,
        build_reward(**asdict(reward_settings)) as reward,
        Environment(sampler, executor, chat, rollout_limits(sampling), sampling.deterministic) as environment,
        trajectory_file(folder, logger, ranks) as store,
        logger.progress(trainer.steps, f"rl {reward_settings.name}", start) as progress,
    ):
        push_weights(policy, sampler, canary, sampling.temperature, start)
        for step in range(start + 1, trainer.steps + 1):
            clock = perf_counter()
            requests = group_requests(
                tasks, step, trainer.prompts_per_step, trainer.group_size, config.seed, sampling.temperature
            )
            with phase("rollout"):
                costs = [expected_tokens(request.task.id) for request in requests]
                groups = as_groups(shared_rollout(environment, requests, costs, ranks), trainer.group_size)
            rolled_out = perf_counter()
            with phase("reward"):
                for group, rewards in zip(groups, shared_scores(reward, groups, ranks), strict=True):
                    group.rewards = rewards
                    totals = [breakdown.total for breakdown in rewards]
                    group.advantages = group_advantages(totals, trainer.normalize_std)
            scored = perf_counter()
            with phase("update"):
                sampler.sleep()
                stats = update_policy(
                    policy,
                    reference,
                    groups,
                    loss_function,
                    minibatches=trainer.minibatches,
                    loss_mean=trainer.loss_mean,
                    pad_id=chat.pad_id,
                    shuffle_seed=f"minibatches/{config.seed}/{step}",
                )
            with phase("weight push"):
                stats |= push_weights(policy, sampler, canary, sampling.temperature, step)
            spent = {"rollout": rolled_out - clock, "reward": scored - rolled_out, "update": perf_counter() - scored}
            metrics, alarms = history.add(step, groups, stats, spent, trainer.normalize_std)
            logger.log(step, metrics)
            for line in alarms:
                logger.message(line)
            if store and (step % stage.save_trajectories_every == 0 or step == trainer.steps):
                store_groups(store, groups, step)
            if step % trainer.save_every == 0 or step == trainer.steps:
                save_checkpoint(folder.path / "checkpoints", step, policy.save_state, ranks.is_main)
            none = float("nan")  # of a step that nothing could be graded in
            progress.advance(reward=metrics.get("reward/mean", none), accuracy=metrics.get("reward/correct", none))
    achieved = history.counts()
    write_whole(folder.path / "model", policy.save_model, ranks.is_main)
    seconds = history.seconds()
    return StageResult(
        headline=history.headline(),
        counts={
            "base": str(base),
            "tasks": len(tasks),
            "tasks_without_teacher": without_teacher(folder.root),
            "steps": trainer.steps,
            "first_step": start + 1,
            **achieved,
        },
        seconds={**seconds, "other": perf_counter() - began - sum(seconds.values())},
    )


def teacher_trajectories(folder: RunFolder, schemas_json: str) -> list[Trajectory]:
    """The teacher's, in the rollout's order: their tasks are trained on. Refuses a toolset other than the teacher's."""
    path = folder.upstream("rollout/trajectories.jsonl", made_by="rollout")
    trajectories = load_trajectories(path)
    if not trajectories:
        raise StageError(f"{path} holds no trajectory: run `mentor stage=rollout` again")
    for trajectory in trajectories:
        if trajectory.tools != schemas_json:
            raise InputError(
                f"tools: task {trajectory.task.id} of {path} was solved with another toolset than `tools` gives now; "
                "accepted: the toolset of the rollout stage"
            )
    return trajectories


def conversation_tokens(taught: Sequence[Trajectory], chat: ChatFormat) -> Callable[[str], int]:
    """By task: the tokens of the teacher's conversation in the student's format, as long as the student's may be."""
    by_task = {trajectory.task.id: trajectory for trajectory in taught}
    return cache(lambda task_id: len(chat.render(by_task[task_id])))


def build_reference(
    policy: TorchPolicy, base: Path | str, model: ModelConfig, trainer: RlTrainer, make: Callable[..., TorchPolicy]
) -> Reference:
    """Where the policy started: the policy with its adapters off, or a frozen second model."""
    if trainer.lora.rank:
        return BaseOfAdapters(policy)
    return make(load_student(base, model, trainer, frozen=True), optimizer_steps=0)


def policy_sampler(
    sampling: SamplerConfig, policy: TorchPolicy, base: Path | str, eos_id: int, ranks: Ranks
) -> Sampler:
    """`transformers` around the policy's own model; vLLM loads the base and is handed the policy's weights."""
    return build_sampler(
        sampling.name,
        policy.model if sampling.name == "transformers" else base,
        eos_id,
        sampling.max_running,
        policy.dtype,
        sampling.max_tokens,
        placement=sampling.placement,
        tensor_parallel=sampling.tensor_parallel,
        gpu_memory_share=sampling.gpu_memory_share,
        kv_cache_gib=sampling.kv_cache_gib,
        rank=ranks.rank,
        ranks=ranks.size,
    )


@contextmanager
def trajectory_file(folder: RunFolder, logger: Logger, ranks: Ranks) -> Iterator[JsonlWriter | None]:
    """Where the first process stores trajectories; None in the others."""
    if not ranks.is_main:
        yield None
        return
    with JsonlWriter(folder.path / "trajectories" / "trajectories.jsonl", logger.message) as store:
        yield store


def without_teacher(root: Path) -> int:
    """How many tasks no reward trains on, because the teacher gave no trajectory for them."""
    rejected = root / "rollout" / "rejected.jsonl"
    return len(rejected.read_text(encoding="utf-8").splitlines()) if rejected.is_file() else 0


def rollout_limits(sampling: SamplerConfig) -> RolloutLimits:
    return RolloutLimits(sampling.max_turns, sampling.max_turn_tokens, sampling.max_tokens, sampling.max_invalid_turns)


def store_groups(store: JsonlWriter, groups: Sequence[TrajectoryGroup], step: int) -> None:
    """Every trajectory of the step with its reward terms and advantage."""
    for group in groups:
        for trajectory, breakdown, advantage in zip(group.trajectories, group.rewards, group.advantages, strict=True):
            reward = {"total": breakdown.total, "terms": breakdown.terms, "parts": breakdown.parts}
            record = {"step": step, **trajectory.to_dict(), "reward": reward, "advantage": advantage}
            store.write({**record, "group_kind": group.kind})


def resume(folder: RunFolder, policy: TorchPolicy, logger: Logger, ranks: Ranks) -> int:
    """Steps already done: loads the newest checkpoint and takes back the records written after it."""
    start = 0
    if found := latest_checkpoint(folder.path / "checkpoints"):
        start, path = found
        policy.load_state(path)
        logger.message(f"going on after step {start}")
    logger.roll_back(start)
    stored = folder.path / "trajectories" / "trajectories.jsonl"
    if ranks.is_main and stored.is_file() and (moved := roll_back(stored, start)):
        logger.message(f"{moved} trajectories written after step {start} moved aside")
    ranks.meet()  # the others read what the first one has taken back
    return start


def budget(trainer: RlTrainer, sampling: SamplerConfig, tasks: int, start: int) -> str:
    """What the stage may spend, in steps and tokens."""
    trajectories = trainer.steps * trainer.prompts_per_step * trainer.group_size
    return (
        f"budget: {trainer.steps} steps ({start} done) of {trainer.prompts_per_step} x {trainer.group_size} "
        f"trajectories on {tasks} tasks, {trajectories:,} in all, each of at most {sampling.max_tokens:,} tokens"
    )
