"""`stage=pretrain`: a small student from scratch, made half-competent on purpose.

It reads generated calculator conversations of the `pretrain` split, whose questions appear in no other split and range
more widely than the training tasks (longer, larger, worded otherwise). A share of them is answered directly without a
tool, a share takes another valid tool path than the teacher would, and the steps are few: the result writes well-formed
calls most of the time, often picks the wrong tool or number, and leaves room to improve, as a weak instruct model does.
With `stage.schema_share` a part of the text is about made-up tools, other ones in every conversation, from which the
student learns to read a listing of tools that it has never seen. The tokenizer is learned from the same text.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from time import perf_counter

from mentor.chat import ChatFormat
from mentor.chat.tiny import render_text, train_tokenizer
from mentor.config import Config, ModelConfig, PretrainStage, SupervisedTrainer, TaskConfig
from mentor.errors import StageError
from mentor.loggers import Logger
from mentor.policy.control import TrainingControl
from mentor.policy.model import make_student
from mentor.policy.supervised import check_masks
from mentor.rewards.answer_formats import answer_format
from mentor.runs import RunFolder
from mentor.stages import StageResult
from mentor.stages.training import build_policy, control_settings, seed_everything, train_and_save
from mentor.tasks import load_tasks
from mentor.tasks.requested_format import in_format
from mentor.tasks.world_conversations import generate_conversations
from mentor.teachers import build_teacher
from mentor.tools import ToolExecutor, Toolset
from mentor.types import StopReason, Task, Trajectory


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    stage, model, trainer = config.stage, config.model, config.trainer
    assert (
        isinstance(stage, PretrainStage) and isinstance(model, ModelConfig) and isinstance(trainer, SupervisedTrainer)
    )
    began = perf_counter()
    seed_everything(config.seed)
    conversations = make_conversations(stage, config.seed, (config.task or TaskConfig()).answer_format)
    tokenizer = train_tokenizer(conversation_texts(conversations), model.vocab_size, stage.schema_share > 0)
    chat = ChatFormat(tokenizer, model.question_template, model.enable_thinking, model.think_history)
    records = [segment for trajectory in conversations for segment in chat.render(trajectory).segments()]
    check_masks(records, "pretrain text")
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
    totals = train_and_save(policy, chat, records, trainer, config.seed, folder, logger, control)
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


def _made(stage: PretrainStage) -> str:
    """What the text consists of, for the summary."""
    calculator = f"{stage.direct_share:.0%} direct answers, {stage.alternative_share:.0%} alternative tool paths"
    return f"{stage.schema_share:.0%} over made-up tools, else {calculator}" if stage.schema_share else calculator


def make_conversations(stage: PretrainStage, seed: int, form: str = "boxed") -> list[Trajectory]:
    """Make the text to learn from: `schema_share` of it over made-up tools, the rest over the calculator.

    Of that, each question of the `pretrain` split once, direct, by another or the plain path. form: of the answers.
    """
    worlds = generate_conversations(round(stage.conversations * stage.schema_share), seed, form=form)
    rng = random.Random(f"pretrain/{seed}")
    size = stage.conversations - len(worlds)
    text = [*_calculator_conversations(stage, size, seed, rng, form), *worlds]
    rng.shuffle(text)
    return text


def _calculator_conversations(
    stage: PretrainStage, size: int, seed: int, rng: random.Random, form: str
) -> list[Trajectory]:
    if not size:
        return []
    loaded = load_tasks("calculator", split="pretrain", size=size, max_steps=stage.max_steps_per_question, seed=seed)
    tasks = in_format(loaded, form)
    toolset = Toolset.builtin("calculator")
    direct = {task.id for task in tasks if rng.random() < stage.direct_share}
    worked = asyncio.run(_work_out([task for task in tasks if task.id not in direct], stage, seed, toolset))
    return [_direct(task, toolset.schemas_json) if task.id in direct else worked[task.id] for task in tasks]


async def _work_out(tasks: list[Task], stage: PretrainStage, seed: int, toolset: Toolset) -> dict[str, Trajectory]:
    """Solve the tasks with every call executed, by task id; `alternative_share` counts direct answers too."""
    worked_share = 1 - stage.direct_share
    teacher = build_teacher("oracle", stage.alternative_share / worked_share if worked_share else 0.0, seed)
    worked: dict[str, Trajectory] = {}
    async with ToolExecutor(toolset) as executor:
        for start in range(0, len(tasks), 256):
            part = tasks[start : start + 256]
            for task, solved in zip(
                part, await asyncio.gather(*(teacher.solve(task, executor) for task in part)), strict=True
            ):
                if not isinstance(solved, Trajectory):
                    raise StageError(f"task {task.id} of the pretrain split cannot be solved: {solved.detail}")
                worked[task.id] = solved
    return worked


def _direct(task: Task, tools: str) -> Trajectory:
    """Answer directly, as a model that trusts its own arithmetic would."""
    messages = [
        {"role": "user", "content": task.question},
        {"role": "assistant", "content": answer_format(task.answer_format).write(task.answer[0])},
    ]
    return Trajectory(task, messages, tools, StopReason.ANSWERED, [])


def conversation_texts(conversations: list[Trajectory]) -> Iterator[str]:
    """Render the conversations in the student's chat template, to learn a tokenizer from."""
    for trajectory in conversations:
        yield render_text(trajectory.messages, json.loads(trajectory.tools))
