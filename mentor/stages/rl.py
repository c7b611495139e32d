"""`stage=rl`: group-relative policy optimisation (GRPO, arXiv:2402.03300) with multi-turn tool rollouts.

All rewards train on the same tasks: those the teacher solved. Departures from the textbook: zero-variance groups are
skipped; the clipped ratio is taken against the rollout engine's own logprobs unless trainer.old_logprobs=policy; both
clip bounds are free. Other algorithms are settings of the same step (docs/algorithms.md), which is in `rl/step.py`.

Everything random derives from the seed and the step, so a resumed run draws what an unbroken one would have drawn.
"""

from __future__ import annotations

from dataclasses import asdict
from time import perf_counter

from mentor.config import Config, ModelConfig, RewardConfig, RlStage, RlTrainer, SamplerConfig, ToolsConfig
from mentor.evaluation.history import History
from mentor.loggers import Logger
from mentor.policy.control import TrainingControl
from mentor.policy.ranks import Ranks, join_ranks
from mentor.rewards import build_reward
from mentor.rewards.grader_pool import GraderPool
from mentor.rewards.presets import ANSWER
from mentor.rl.rollouts import GroupSampler
from mentor.rl.step import StepRunner
from mentor.runs import RunFolder, base_model
from mentor.sampling import Canary
from mentor.stages import StageResult
from mentor.stages.chat_format import load_chat, texts_around
from mentor.stages.distill_teacher import open_distill_teacher
from mentor.stages.judging import open_judge
from mentor.stages.perturbing import training_tasks
from mentor.stages.rl_curriculum import open_curriculum
from mentor.stages.rl_files import roll_back_trajectories, store_groups, trajectory_file
from mentor.stages.rl_models import load_policy, load_reference
from mentor.stages.rl_settings import algorithm_settings, budget, with_steps
from mentor.stages.student import policy_environment
from mentor.stages.taught_tasks import (
    check_format,
    conversation_tokens,
    fitting_prompt,
    teacher_trajectories,
    without_answer,
    without_teacher,
)
from mentor.stages.timed_size import settle_micro_batches
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.stages.training import control_settings, save_student, say_padding, seed_everything
from mentor.stages.training_evaluation import evaluation_tasks, open_evaluation, roll_back_items
from mentor.tasks.requested_format import format_warnings
from mentor.timer import Timer


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    assert isinstance(config.trainer, RlTrainer)
    with join_ranks(config.trainer.distributed) as ranks:
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
    tasks, without_path = training_tasks(taught, config, logger)
    trainer = with_steps(trainer, len(tasks))
    check_format(tasks, reward_settings)
    for line in format_warnings(tasks, "task", texts_around(model)):
        logger.message(line)
    base = base_model(config, folder.root)
    chat = load_chat(base, model)
    benchmarks = evaluation_tasks(config, folder.root, logger)
    canary = Canary(fitting_prompt(tasks, toolbox, chat, sampling.max_tokens))
    policy = load_policy(base, chat, config, trainer, ranks)
    say_padding(policy, trainer, logger)
    settle_micro_batches(policy, config, folder, logger, ranks)
    reference = load_reference(policy, base, chat, config, trainer, ranks)
    control = TrainingControl(folder.path, control_settings(trainer, benchmarks), policy, logger, ranks)
    start = control.resume()
    roll_back_trajectories(folder, start, logger, ranks)
    roll_back_items(folder.path, start, ranks)
    algorithm = algorithm_settings(trainer, sampling, config.distill, reward_settings)
    history = History(folder.path / "metrics.jsonl")
    logger.message(budget(trainer, sampling, len(tasks), start))
    with (
        open_distill_teacher(config, policy, chat, folder.path, logger.message, ranks) as teacher,
        policy_environment(config, base, chat, policy, toolbox, ranks) as environment,
        open_judge(config, folder.path, logger.message, ranks.size, ranks.rank) as judge,
        GraderPool(reward_settings.grader_workers) as graders,
        build_reward(
            graders, report=logger.message, judge=judge, by_turn=algorithm.advantage.by_turn, **asdict(reward_settings)
        ) as reward,
        open_evaluation(config, benchmarks, environment, folder.path, judge, logger, ranks) as evaluate,
        trajectory_file(folder, logger, ranks) as store,
        open_curriculum(trainer, folder, tasks, config.seed, start, logger, ranks) as curriculum,
        logger.progress(trainer.steps, f"rl {reward_settings.name}", start) as progress,
    ):
        rollouts = GroupSampler(
            environment,
            tasks,
            conversation_tokens(taught, chat),
            ranks,
            ranks.all_gather(len(environment.sampler.engines)),
            prompts=trainer.prompts_per_step,
            group_size=trainer.group_size,
            seed=config.seed,
            temperature=sampling.temperature,
            rounds=algorithm.rounds,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            curriculum=curriculum,
        )
        runner = StepRunner(policy, reference, teacher, rollouts, reward, canary, algorithm, chat.pad_id)
        logger.message(toolbox.summary)
        if not own_grader and any(task.gold is None for task in tasks):
            graders.start()  # they get ready during the first rollout
        runner.begin(start)
        for step in control.steps_left(evaluate):
            timer = Timer()
            groups, stats = runner.take(step, timer, history.success(reward_settings.anneal_steps))
            metrics, alarms = history.add(step, groups, stats, timer.seconds, algorithm.advantage)
            may_be_last = control.log(step, metrics)
            for line in alarms:
                logger.message(line)
            if store and (step % stage.save_trajectories_every == 0 or may_be_last):
                store_groups(store, groups, step)
            control.finish(step)
            none = float("nan")  # of a step that nothing could be graded in
            progress.advance(reward=metrics.get("reward/mean", none), accuracy=metrics.get("reward/correct", none))
    say_counts(toolbox, logger)
    achieved = history.counts()
    control.load_model()
    save_student(policy, chat, folder, ranks)
    seconds = {**history.seconds(), "evaluation": control.eval_seconds}
    return StageResult(
        headline=history.headline(),
        counts={
            "base": str(base),
            "tasks": len(tasks),
            "tasks_without_teacher": without_teacher(folder.root),
            "tasks_without_answer": 0 if own_grader else without_answer(folder.root),
            **({"tasks_without_other_path": without_path} if without_path else {}),
            "steps": control.step,
            "first_step": start + 1,
            **achieved,
            **control.counts(),
            **({"missing_grades": reward.missing} if reward.missing else {}),
            **({"judge": judge.counts()} if judge else {}),
            **({"teacher_tokens": int(history.total("distill/teacher_tokens"))} if teacher else {}),
        },
        seconds={**seconds, "other": perf_counter() - began - sum(seconds.values())},
    )
