"""`stage=sft`: supervised fine-tuning of the base on the teacher's trajectories, the baseline to compare RL with."""

from __future__ import annotations

from time import perf_counter

from mentor.chat import ChatFormat
from mentor.config import Config, ModelConfig, SftStage, SupervisedTrainer
from mentor.errors import StageError
from mentor.loggers import Logger
from mentor.policy.checkpoint import write_whole
from mentor.policy.model import load_model
from mentor.policy.supervised import check_masks, train_supervised
from mentor.runs import RunFolder, base_model
from mentor.stages import StageResult
from mentor.stages.pretrain import build_supervised_policy
from mentor.trajectories.store import load_trajectories


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    stage, model, trainer = config.stage, config.model, config.trainer
    assert isinstance(stage, SftStage) and isinstance(model, ModelConfig) and isinstance(trainer, SupervisedTrainer)
    began = perf_counter()
    source = folder.upstream("rollout/trajectories.jsonl", made_by="rollout")
    base = base_model(config, folder.root)
    chat = ChatFormat.from_pretrained(base, model.chat_template, model.question_template, model.enable_thinking)
    trajectories = load_trajectories(source)[: stage.limit]
    records = [chat.render(trajectory) for trajectory in trajectories]
    student = load_model(base)
    longest = student.config.max_position_embeddings
    fitting = [tokens for tokens in records if len(tokens) <= longest]
    if not fitting:
        raise StageError(f"no trajectory of {source} fits the {longest} positions of {base}")
    check_masks(fitting, str(source))
    too_long = len(records) - len(fitting)
    logger.message(
        f"starting from {base}; {len(fitting)} trajectories, {too_long} longer than {longest} tokens left out"
    )
    read = perf_counter()

    policy = build_supervised_policy(student, chat, model, trainer)
    totals = train_supervised(
        policy,
        fitting,
        steps=trainer.steps,
        batch_tokens=trainer.batch_tokens,
        save_every=trainer.save_every,
        seed=config.seed,
        pad_id=chat.pad_id,
        folder=folder.path,
        logger=logger,
    )
    write_whole(folder.path / "model", policy.save_model)
    return StageResult(
        headline=("loss/train", totals["loss"]),
        counts={
            "base": str(base),
            "trajectories": len(fitting),
            "too_long": too_long,
            "steps": trainer.steps,
            "tokens": totals["tokens"],
        },
        seconds={"data": read - began, "training": perf_counter() - read},
    )
