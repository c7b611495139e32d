"""`stage=rl`: group-relative policy optimisation (GRPO, arXiv:2402.03300) with multi-turn tool rollouts.

All rewards train on the same tasks: those the teacher solved. Departures from the textbook: zero-variance groups are
skipped; the clipped ratio is taken against the rollout engine's own logprobs unless trainer.old_logprobs=policy; both
clip bounds are free. Other algorithms are settings of the same step (docs/algorithms.md).

Everything random derives from the seed and the step, so a resumed run draws what an unbroken one would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any

from mentor.algorithm.advantage import AdvantageSettings
from mentor.algorithm.loss import LossSettings
from mentor.chat import ChatFormat
from mentor.config import Config, ModelConfig, RewardConfig, RlStage, RlTrainer, SamplerConfig, ToolsConfig
from mentor.environment import Environment
from mentor.errors import InputError, StageError
from mentor.evaluation.history import History
from mentor.jsonl import read_jsonl, roll_back
from mentor.loggers import Logger
from mentor.policy import Policy, Truncation
from mentor.policy.checkpoint import agreed_checkpoint, save_checkpoint
from mentor.policy.ranks import Ranks, join_ranks
from mentor.policy.reference import build_reference
from mentor.rewards import build_reward
from mentor.rewards.presets import ANSWER
from mentor.rl.advantages import assign_advantages, drop_surplus, enough_signal
from mentor.rl.experience import gather_experience
from mentor.rl.reward_shaping import subtract_kl, subtract_overlong
from mentor.rl.rollouts import GroupSampler, score_groups
from mentor.rl.settings import AlgorithmSettings, ShapingSettings, UpdateSettings
from mentor.rl.update import update_policy
from mentor.runs import RunFolder, base_model
from mentor.sampling import Canary, push_weights
from mentor.stages import StageResult
from mentor.stages.chat_format import load_chat, texts_around
from mentor.stages.check_workload import planned_share
from mentor.stages.judging import open_judge
from mentor.stages.rollout_engine import open_sampler, rollout_limits
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.stages.training import build_policy, load_student, save_student, say_padding, seed_everything
from mentor.tasks.requested_format import format_warnings
from mentor.timer import Timer
from mentor.tools import Toolbox
from mentor.trajectories.store import TrajectoryWriter, load_trajectories
from mentor.types import Task, Trajectory, TrajectoryGroup


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    assert isinstance(config.trainer, RlTrainer)
    with join_ranks(deepspeed=config.trainer.deepspeed.stage > 0) as ranks:
        return train(config, folder, logger, ranks)


def train(config: Config, folder: RunFolder, logger: Logger, ranks: Ranks) -> StageResult:
    """Train on every rank: each has all groups, and rolls out, scores and trains on its part of them; rank 0 writes."""
    stage, trainer, reward_settings = config.stage, config.trainer, config.reward
    tools, sampling, model = config.tools, config.sampler, config.model
    assert isinstance(stage, RlStage) and isinstance(trainer, RlTrainer) and isinstance(reward_settings, RewardConfig)
    assert isinstance(tools, ToolsConfig) and isinstance(sampling, SamplerConfig) and isinstance(model, ModelConfig)
    began = perf_counter()
    seed_everything(config.seed)
    toolbox = configured_toolbox(tools, logger.message, ranks.local_size)
    own_grader = reward_settings.grader != ANSWER  # which needs no answer
    taught = teacher_trajectories(folder, toolbox, any_answer=own_grader)[: stage.limit]
    tasks = [trajectory.task for trajectory in taught]
    trainer = with_steps(trainer, len(tasks))
    check_format(tasks, reward_settings)
    for line in format_warnings(tasks, "task", texts_around(model)):
        logger.message(line)
    base = base_model(config, folder.root)
    chat = load_chat(base, model)
    canary = Canary(fitting_prompt(tasks, toolbox, chat, sampling.max_tokens))
    make = partial(build_policy, chat=chat, model=model, trainer=trainer, temperature=sampling.temperature, ranks=ranks)
    policy = make(load_student(base, model, trainer), optimizer_steps=trainer.optimizer_steps)
    say_padding(policy, trainer, logger)
    reference = None
    if trainer.kl_coef > 0:
        offload = trainer.reference_offload
        frozen = partial(load_student, base, model, trainer, frozen=True, on_cpu=offload)
        whole = trainer.deepspeed.stage < 3  # in stage 3 DeepSpeed keeps the parts on the CPU
        reference = build_reference(
            policy, lambda: make(frozen(), optimizer_steps=0, offload=offload), offload=offload and whole
        )
    start = resume(folder, policy, logger, ranks)
    algorithm = algorithm_settings(trainer, sampling)
    history = History(folder.path / "metrics.jsonl")
    logger.message(budget(trainer, sampling, len(tasks), start))
    text_config = policy.model.config.get_text_config(decoder=True).to_dict()
    engine = replace(sampling, gpu_memory_share=planned_share(config, text_config))
    with (
        open_sampler(engine, base, chat.end_ids, policy.dtype, policy.model, ranks) as sampler,
        open_judge(config, folder.path, logger.message, ranks.size, ranks.rank) as judge,
        build_reward(report=logger.message, judge=judge, **asdict(reward_settings)) as reward,
        Environment(sampler, toolbox, chat, rollout_limits(sampling), sampling.deterministic) as environment,
        trajectory_file(folder, logger, ranks) as store,
        logger.progress(trainer.steps, f"rl {reward_settings.name}", start) as progress,
    ):
        logger.message(toolbox.summary)
        rollouts = GroupSampler(
            environment,
            tasks,
            conversation_tokens(taught, chat),
            ranks,
            ranks.all_gather(len(sampler.engines)),
            prompts=trainer.prompts_per_step,
            group_size=trainer.group_size,
            seed=config.seed,
            temperature=sampling.temperature,
            rounds=algorithm.rounds,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
        )
        sampler.sleep()
        push_weights(policy, sampler, canary, sampling.temperature, start, Timer())
        for step in range(start + 1, trainer.steps + 1):
            timer, groups, stats = Timer(), list[TrajectoryGroup](), dict[str, float]()
            for number in range(algorithm.rounds):  # dynamic sampling: until enough groups have a signal
                with timer("rollout"):
                    sampled = rollouts.sample(step, number)
                with timer("reward"):
                    score_groups(sampled, reward, ranks)
                    subtract_overlong(sampled, algorithm.shaping)
                groups += sampled
                if enough_signal(groups, algorithm.prompts):
                    break
            with timer("sleep"):
                sampler.sleep()
            trained = drop_surplus(groups, algorithm.prompts)
            shuffle_seed = f"minibatches/{config.seed}/{step}"
            with timer("logprobs"):
                experience = gather_experience(trained, policy, reference, chat.pad_id, algorithm, shuffle_seed)
            stats |= subtract_kl(experience, algorithm.shaping)
            assign_advantages(trained, algorithm.advantage)
            with timer("update"):
                stats |= update_policy(policy, experience, algorithm, shuffle_seed, ranks)
            stats |= push_weights(policy, sampler, canary, sampling.temperature, step, timer)
            if algorithm.rounds > 1:
                stats |= {"rollout/rounds": number + 1.0, "groups/dropped": (len(groups) - len(trained)) / len(groups)}
            metrics, alarms = history.add(step, groups, stats, timer.seconds, algorithm.advantage)
            logger.log(step, metrics)
            for line in alarms:
                logger.message(line)
            if store and (step % stage.save_trajectories_every == 0 or step == trainer.steps):
                store_groups(store, groups, step)
            if step % trainer.save_every == 0 or step == trainer.steps:
                save_checkpoint(folder.path / "checkpoints", step, policy.save_state, ranks)
            none = float("nan")  # of a step that nothing could be graded in
            progress.advance(reward=metrics.get("reward/mean", none), accuracy=metrics.get("reward/correct", none))
    say_counts(toolbox, logger)
    achieved = history.counts()
    save_student(policy, chat, folder, ranks)
    seconds = history.seconds()
    return StageResult(
        headline=history.headline(),
        counts={
            "base": str(base),
            "tasks": len(tasks),
            "tasks_without_teacher": without_teacher(folder.root),
            "tasks_without_answer": 0 if own_grader else without_answer(folder.root),
            "steps": trainer.steps,
            "first_step": start + 1,
            **achieved,
            **({"missing_grades": reward.missing} if reward.missing else {}),
            **({"judge": judge.counts()} if judge else {}),
        },
        seconds={**seconds, "other": perf_counter() - began - sum(seconds.values())},
    )


def teacher_trajectories(folder: RunFolder, toolbox: Toolbox, any_answer: bool = False) -> list[Trajectory]:
    """Load the teacher's trajectories with a known answer or right calls, in the rollout's order.

    Their tasks are trained on.

    any_answer: those without a known answer too.

    Raises InputError for a toolset other than the teacher's and where no task has an answer, StageError where there is
    no trajectory.
    """
    path = folder.upstream("rollout/trajectories.jsonl", made_by="rollout")
    stored = load_trajectories(path)
    if not stored:
        raise StageError(f"{path} holds no trajectory: run `mentor stage=rollout` again")
    trajectories = [entry for entry in stored if any_answer or entry.task.answer or entry.task.gold]
    if not trajectories:
        raise InputError(
            f"{path}: none of {len(stored)} tasks has an answer, which stage=rl rewards; accepted: rows with one, "
            "whose key stage=rollout is given as task.columns.answer=<key>, or right calls (task.columns.calls); "
            "stage=sft needs none"
        )
    for trajectory in trajectories:
        if trajectory.tools != toolbox.schemas_json(trajectory.task):
            raise InputError(
                f"tools: task {trajectory.task.id} of {path} was solved with another toolset than `tools` gives now; "
                "accepted: the toolset of the rollout stage"
            )
    return trajectories


def check_format(tasks: Sequence[Task], reward: RewardConfig) -> None:
    """Raise InputError for a released reward, which reads boxes alone, on tasks with another format of the answer."""
    other = next((task for task in tasks if task.answer_format != "boxed"), None)
    if reward.family == "released" and other is not None:
        raise InputError(
            f"reward={reward.name} reads \\boxed{{}} alone, and the rollout has task.answer_format="
            f"{other.answer_format}; accepted: a reward of the family project, or a rollout with "
            "task.answer_format=boxed"
        )


def fitting_prompt(tasks: Sequence[Task], toolbox: Toolbox, chat: ChatFormat, max_tokens: int) -> Sequence[int]:
    """Return the first prompt that leaves room for an answer. Raises InputError where none does."""
    lengths: dict[str, int] = {}
    for task in tasks:
        prompt = chat.prompt_ids(task.question, toolbox.schemas_json(task), task.earlier)
        if len(prompt) < max_tokens:
            return prompt
        lengths[task.id] = len(prompt)
    shortest = min(lengths, key=lengths.__getitem__)
    raise InputError(
        f"sampler.max_tokens={max_tokens} leaves no room for an answer to any of {len(tasks)} tasks: the shortest "
        f"prompt, of task {shortest}, has {lengths[shortest]} tokens with its tools; accepted: more than that"
    )


def with_steps(trainer: RlTrainer, tasks: int) -> RlTrainer:
    """Turn `trainer.task_epochs`, where it is set, into the whole steps that fit in them, one at least.

    Raises InputError where the warm-up is longer than all of them.
    """
    if trainer.task_epochs is None:
        return trainer
    drawn = trainer.prompts_per_step * trainer.max_sampling_rounds  # places in the order of tasks that a step takes
    trainer = replace(trainer, steps=max(1, int(trainer.task_epochs * tasks / drawn)))
    if trainer.warmup_steps > trainer.optimizer_steps:
        raise InputError(
            f"trainer.warmup_steps={trainer.warmup_steps} is more than the {trainer.optimizer_steps} optimiser steps "
            f"of trainer.task_epochs={trainer.task_epochs:g} on {tasks} tasks"
        )
    return trainer


def conversation_tokens(taught: Sequence[Trajectory], chat: ChatFormat) -> Callable[[str], int]:
    """Count, by task id, the teacher's tokens in the student's format, about as many as the student's."""
    by_task = {trajectory.task.id: trajectory for trajectory in taught}
    return cache(lambda task_id: len(chat.render(by_task[task_id])))


def algorithm_settings(trainer: RlTrainer, sampling: SamplerConfig) -> AlgorithmSettings:
    """Read the algorithm from the trainer, and how tokens are drawn."""
    max_tokens = sampling.max_tokens
    in_reward = trainer.kl_placement == "reward"
    return AlgorithmSettings(
        AdvantageSettings(trainer.advantage, trainer.normalize_std),
        ShapingSettings(
            max_tokens,
            trainer.overlong_buffer_tokens,
            trainer.overlong_penalty,
            kl_coef=trainer.kl_coef if in_reward else 0.0,
            kl_estimator=trainer.kl_estimator,
        ),
        LossSettings(
            trainer.clip_low,
            trainer.clip_high,
            kl_coef=0.0 if in_reward else trainer.kl_coef,
            kl_estimator=trainer.kl_estimator,
            ratio=trainer.ratio,
            entropy_coef=trainer.entropy_coef,
            importance_cap=trainer.importance_cap,
            dual_clip=trainer.dual_clip,
        ),
        UpdateSettings(
            trainer.minibatches,
            max_tokens,
            trainer.epochs,
            trainer.loss_mean,
            recompute=trainer.old_logprobs == "policy",
            mask_cut=trainer.mask_cut,
        ),
        prompts=trainer.prompts_per_step,
        rounds=trainer.max_sampling_rounds,
        truncation=Truncation(sampling.top_k, sampling.top_p) if sampling.top_k is not None else None,
    )


@contextmanager
def trajectory_file(folder: RunFolder, logger: Logger, ranks: Ranks) -> Iterator[TrajectoryWriter | None]:
    """Open the file that rank 0 stores trajectories in; None on the other ranks."""
    if not ranks.is_main:
        yield None
        return
    with TrajectoryWriter(folder.path / "trajectories" / "trajectories.jsonl", logger.message) as store:
        yield store


def without_teacher(root: Path) -> int:
    """Count the tasks that no reward trains on, because the teacher gave no trajectory for them."""
    rejected = root / "rollout" / "rejected.jsonl"
    return len(rejected.read_text(encoding="utf-8").splitlines()) if rejected.is_file() else 0


def without_answer(root: Path) -> int:
    """Count the teacher's tasks that are not trained on, because nothing says what is right."""
    tasks = (record["task"] for record in read_jsonl(root / "rollout" / "trajectories.jsonl"))
    return sum(not (task["answer"] or task.get("gold")) for task in tasks)


def store_groups(store: TrajectoryWriter, groups: Sequence[TrajectoryGroup], step: int) -> None:
    """Store every trajectory of the step with its reward terms and advantage."""
    for group in groups:
        for trajectory, breakdown, advantage in zip(group.trajectories, group.rewards, group.advantages, strict=True):
            reward: dict[str, Any] = {"total": breakdown.total, "terms": breakdown.terms, "parts": breakdown.parts}
            if breakdown.total is None:
                reward["note"] = breakdown.note
            record = {"step": step, **trajectory.to_dict(), "reward": reward, "advantage": advantage}
            store.write({**record, "group_kind": group.kind})


def resume(folder: RunFolder, policy: Policy, logger: Logger, ranks: Ranks) -> int:
    """Load the newest checkpoint, roll back the records written after it, and return the steps already done."""
    start = 0
    if found := agreed_checkpoint(folder.path / "checkpoints", ranks):
        start, path = found
        policy.load_state(path)
        logger.message(f"resuming after step {start}")
    logger.roll_back(start)
    stored = folder.path / "trajectories" / "trajectories.jsonl"
    if ranks.is_main and stored.is_file() and (moved := roll_back(stored, start)):
        logger.message(f"{moved} trajectories written after step {start} moved aside")
    ranks.barrier()  # the others read what rank 0 has rolled back
    return start


def budget(trainer: RlTrainer, sampling: SamplerConfig, tasks: int, start: int) -> str:
    """Say the most the stage may spend, in steps, epochs and tokens."""
    rounds = trainer.max_sampling_rounds
    prompts = trainer.steps * rounds * trainer.prompts_per_step
    often = f"up to {rounds} times " if rounds > 1 else ""
    return (
        f"budget: {trainer.steps} steps ({start} done) of {often}{trainer.prompts_per_step} x {trainer.group_size} "
        f"trajectories on {tasks} tasks ({prompts / tasks:,.1f} epochs), {prompts * trainer.group_size:,} in all, "
        f"each of at most {sampling.max_tokens:,} tokens"
    )
