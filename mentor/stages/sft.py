"""`stage=sft`: supervised fine-tuning of the base on the teacher's trajectories, the baseline to compare RL with."""

from __future__ import annotations

from time import perf_counter

from mentor.config import Config, ModelConfig, SftStage, SftTrainer
from mentor.errors import StageError
from mentor.loggers import Logger
from mentor.policy.control import TrainingControl
from mentor.policy.ranks import Ranks, join_ranks
from mentor.policy.supervised import SupervisedPhase, check_masks
from mentor.runs import RunFolder, base_model
from mentor.stages import StageResult
from mentor.stages.chat_format import load_chat
from mentor.stages.training import build_policy, control_settings, load_student, seed_everything, train_and_save
from mentor.stages.training_evaluation import evaluation_tasks, open_supervised_evaluation, roll_back_items
from mentor.trajectories.store import load_trajectories


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    assert isinstance(config.trainer, SftTrainer)
    with join_ranks(config.trainer.distributed) as ranks:
        return train(config, folder, logger, ranks)


def train(config: Config, folder: RunFolder, logger: Logger, ranks: Ranks) -> StageResult:
    stage, model, trainer = config.stage, config.model, config.trainer
    assert isinstance(stage, SftStage) and isinstance(model, ModelConfig) and isinstance(trainer, SftTrainer)
    began = perf_counter()
    seed_everything(config.seed)
    source = folder.upstream("rollout/trajectories.jsonl", made_by="rollout")
    base = base_model(config, folder.root)
    chat = load_chat(base, model)
    tasks = evaluation_tasks(config, folder.root, logger)
    trajectories = load_trajectories(source)[: stage.limit]
    records = [chat.render(trajectory) for trajectory in trajectories]
    student = load_student(base, model, trainer)
    longest = student.config.max_position_embeddings
    fitting = [tokens for tokens in records if tokens.longest <= longest]
    if not fitting:
        raise StageError(f"no trajectory of {source} fits the {longest} positions of {base}")
    check_masks(fitting, str(source))
    segments = [segment for tokens in fitting for segment in tokens.segments() if segment.sampled]
    too_long = len(records) - len(fitting)
    logger.message(
        f"starting from {base}; {len(fitting)} trajectories, {too_long} longer than {longest} tokens left out"
    )
    read = perf_counter()

    policy = build_policy(student, chat, model, trainer, trainer.steps, ranks=ranks)
    control = TrainingControl(folder.path, control_settings(trainer, tasks), policy, logger, ranks)
    roll_back_items(folder.path, control.resume(), ranks)
    with open_supervised_evaluation(config, tasks, base, chat, policy, folder.path, logger) as evaluate:
        phases = [SupervisedPhase(segments, trainer.steps)]
        totals = train_and_save(policy, chat, phases, trainer, config.seed, folder, logger, control, evaluate)
    return StageResult(
        headline=("loss/train", totals["loss"]),
        counts={
            "base": str(base),
            "trajectories": len(fitting),
            "too_long": too_long,
            "steps": control.step,
            "tokens": totals["tokens"],
            **control.counts(),
        },
        seconds={
            "data": read - began,
            "training": perf_counter() - read - control.eval_seconds,
            "evaluation": control.eval_seconds,
        },
    )
