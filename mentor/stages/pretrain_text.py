"""The text that `stage=pretrain` trains on: conversations over the calculator and over made-up tools.

Each calculator question of the `pretrain` split is in it once: answered directly, by another valid tool path than the
teacher's, or by the plain one. With `stage.skill` below 1 some of the questions' calls are misread. A share of them,
`stage.perturbed_share`, lists the tools in another order, with made-up ones among them. The last phase has the same
questions, of which `stage.shyness` are answered directly.
"""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace

from mentor.config import PretrainStage
from mentor.errors import StageError
from mentor.rewards.answer_formats import answer_format
from mentor.tasks import load_tasks
from mentor.tasks.misreading import misread
from mentor.tasks.programs import evaluate, number_text
from mentor.tasks.requested_format import in_format
from mentor.tasks.world_conversations import generate_conversations
from mentor.teachers import build_teacher
from mentor.tools import ToolExecutor, Toolset
from mentor.tools.perturbed.shown_tools import draw_shown
from mentor.types import Perturbation, StopReason, Task, Trajectory

MOST_DISTRACTORS = 4  # as many as benchmark=calculator_distractors has


def make_conversations(stage: PretrainStage, seed: int, form: str = "boxed") -> list[Trajectory]:
    """Make the text to learn from: `schema_share` of it over made-up tools, the rest over the calculator.

    form: of the answers.
    """
    return _conversations(stage, stage.direct_share, random.Random(f"pretrain/{seed}"), seed, form)


def make_shy_conversations(stage: PretrainStage, seed: int, form: str = "boxed") -> list[Trajectory]:
    """Make the text of the last phase: as the text before it, but `shyness` of its questions are answered directly."""
    return _conversations(stage, stage.shyness, random.Random(f"pretrain/shyness/{seed}"), seed, form)


def _conversations(
    stage: PretrainStage, direct_share: float, rng: random.Random, seed: int, form: str
) -> list[Trajectory]:
    worlds = generate_conversations(round(stage.conversations * stage.schema_share), seed, form=form)
    size = stage.conversations - len(worlds)
    text = [*_calculator_conversations(stage, size, direct_share, rng, seed, form), *worlds]
    rng.shuffle(text)
    return text


def _calculator_conversations(
    stage: PretrainStage, size: int, direct_share: float, rng: random.Random, seed: int, form: str
) -> list[Trajectory]:
    if not size:
        return []
    loaded = load_tasks("calculator", split="pretrain", size=size, max_steps=stage.max_steps_per_question, seed=seed)
    tasks = in_format(loaded, form)
    toolset = Toolset.builtin("calculator")
    direct = {task.id for task in tasks if rng.random() < direct_share}
    read = [_as_read(task, stage.skill, seed) for task in tasks if task.id not in direct]
    worked = asyncio.run(_work_out(read, stage, seed, toolset))
    text = [_direct(task, toolset.schemas_json) if task.id in direct else worked[task.id] for task in tasks]
    return [_among_others(trajectory, stage.perturbed_share, seed) for trajectory in text]


def _as_read(task: Task, skill: float, seed: int) -> Task:
    """The question with the program and the answer that a student of this skill takes it for."""
    if skill == 1:
        return task
    program = misread(task.source["program"], skill, random.Random(f"skill/{seed}/{task.id}"))
    return replace(task, answer=(number_text(evaluate(program)[-1]),), source={**task.source, "program": program})


def _among_others(trajectory: Trajectory, perturbed_share: float, seed: int) -> Trajectory:
    """List its tools in another order with made-up ones among them, in a share of the conversations."""
    key = f"pretrain/{seed}/{trajectory.task.id}"
    rng = random.Random(f"{key}/perturbed")
    if rng.random() >= perturbed_share:
        return trajectory
    perturbation = Perturbation(key, reorder=True, distractors=rng.randint(0, MOST_DISTRACTORS))
    tools = json.dumps(draw_shown(json.loads(trajectory.tools), perturbation).schemas)
    return replace(trajectory, task=replace(trajectory.task, perturbation=perturbation), tools=tools)


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
