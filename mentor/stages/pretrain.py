"""`stage=pretrain`: a small student from scratch, made half-competent on purpose.

It reads generated calculator conversations of the `pretrain` split, whose questions appear in no other split and range
more widely than the training tasks (longer, larger, worded otherwise). A share of them is answered directly without a
tool, a share takes another valid tool path than the teacher would, and the steps are few: the result writes well-formed
calls most of the time, often picks the wrong tool or number, and leaves room to improve, as a weak instruct model does.
With `stage.schema_share` a part of the text is about made-up tools, other ones in every conversation, from which the
student learns to read a listing of tools that it has never seen. The tokenizer is learned from the same text.
`stage.skill` is the share of the calculator's calls that are right. With `stage.shyness` the last steps are another
phase, in which that share of the questions is answered directly: the student can use tools and seldom does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import perf_counter

from mentor.chat import ChatFormat
from mentor.chat.tiny import render_text, train_tokenizer
from mentor.config import Config, ModelConfig, PretrainStage, SupervisedTrainer, TaskConfig
from mentor.loggers import Logger
from mentor.policy.control import TrainingControl
from mentor.policy.model import make_student
from mentor.policy.supervised import SupervisedPhase, check_masks
from mentor.runs import RunFolder
from mentor.stages import StageResult
from mentor.stages.pretrain_text import make_conversations, make_shy_conversations
from mentor.stages.training import build_policy, control_settings, seed_everything, train_and_save
from mentor.types import Tokens, Trajectory


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    stage, model, trainer = config.stage, config.model, config.trainer
    assert (
        isinstance(stage, PretrainStage) and isinstance(model, ModelConfig) and isinstance(trainer, SupervisedTrainer)
    )
    began = perf_counter()
    seed_everything(config.seed)
    form = (config.task or TaskConfig()).answer_format
    conversations = make_conversations(stage, config.seed, form)
    tokenizer = train_tokenizer(conversation_texts(conversations), model.vocab_size, stage.schema_share > 0)
    chat = ChatFormat(tokenizer, model.question_template, model.enable_thinking, model.think_history)
    last_steps = stage.shyness_steps if stage.shyness else 0
    phases = [SupervisedPhase(_records(conversations, chat), trainer.steps - last_steps)]
    if last_steps:
        phases.append(SupervisedPhase(_records(make_shy_conversations(stage, config.seed, form), chat), last_steps))
    made = perf_counter()

    student = make_student(
        config.seed,
        vocab_size=model.vocab_size,
        hidden_size=model.hidden_size,
        intermediate_size=model.intermediate_size,
        num_hidden_layers=model.num_hidden_layers,
        num_attention_heads=model.num_attention_heads,
        num_key_value_heads=model.num_key_value_heads,
        max_position_embeddings=model.max_position_embeddings,
        eos_token_id=chat.eos_id,
        pad_token_id=chat.pad_id,
        head_dim=model.head_dim,
        tie_word_embeddings=model.tie_word_embeddings,
        attention=model.attn_implementation,
    )
    policy = build_policy(student, chat, model, trainer, trainer.steps)
    control = TrainingControl(folder.path, control_settings(trainer), policy, logger)
    control.resume()
    totals = train_and_save(policy, chat, phases, trainer, config.seed, folder, logger, control)
    parameters = sum(p.numel() for p in student.parameters())
    logger.message(f"a student of {parameters:,} parameters, loss {totals['loss']:.3f}")
    return StageResult(
        headline=("loss/train", totals["loss"]),
        counts={
            "conversations": len(conversations),
            "parameters": parameters,
            "vocabulary": len(tokenizer),
            "steps": trainer.steps,
            "tokens": totals["tokens"],
            "made": _made(stage),
        },
        seconds={"data": made - began, "training": perf_counter() - made},
    )


def _records(conversations: list[Trajectory], chat: ChatFormat) -> list[Tokens]:
    records = [segment for trajectory in conversations for segment in chat.render(trajectory).segments()]
    check_masks(records, "pretrain text")
    return records


def _made(stage: PretrainStage) -> str:
    """What the text consists of, for the summary."""
    calculator = f"{stage.direct_share:.0%} direct answers, {stage.alternative_share:.0%} alternative tool paths"
    if stage.skill < 1:
        calculator += f", {stage.skill:.0%} of the calls right"
    if stage.perturbed_share:
        calculator += f", {stage.perturbed_share:.0%} with other tools among the calculator's"
    if stage.shyness:
        calculator += f", {stage.shyness:.0%} direct answers in the last {stage.shyness_steps} steps"
    return f"{stage.schema_share:.0%} over made-up tools, else {calculator}" if stage.schema_share else calculator


def conversation_texts(conversations: list[Trajectory]) -> Iterator[str]:
    """Render the conversations in the student's chat template, to learn a tokenizer from."""
    for trajectory in conversations:
        yield render_text(trajectory.messages, json.loads(trajectory.tools))
