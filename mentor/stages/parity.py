"""`stage=parity`: whether a model says the same with training's settings, in eval and in serve.

The same greedy questions are put to it in four ways: in a rollout with the tools, chat format and limits of the stage
that made it; in a rollout with those of the command, as eval does; to the server of stage=serve, which runs the tools;
and to that server by a client which runs them. Token ids, results and logprobs have to be equal. The calls of the
teacher's stored trajectories are run again too: their results have to be the texts that the student was taught with.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter, time
from typing import Any

from mentor.config import Config, ModelConfig, ParityStage, SamplerConfig, ToolsConfig
from mentor.errors import InputError, StageError
from mentor.evaluation.conversations import Said, compare_said
from mentor.files import write_file
from mentor.loggers import Logger
from mentor.runs import RunFolder
from mentor.runs.as_trained import chosen_model
from mentor.runs.evaluations import fingerprint
from mentor.runs.folder import PARITY
from mentor.runs.model_folders import model_name
from mentor.stages import StageResult
from mentor.stages.parity_ways import (
    Settings,
    ask_server,
    changed_results,
    open_environment,
    part_of,
    roll_out,
    settings_of_training,
)
from mentor.stages.tooling import configured_toolbox
from mentor.tools import Toolbox
from mentor.trajectories.store import load_trajectories
from mentor.types import Task, Trajectory

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.25}
"""Of logprobs: engines in bfloat16 were seen to differ by 0.22 on the same tokens."""


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Write parity/<model>.json in the run. Raises StageError with the first difference where there is one."""
    stage, began = config.stage, perf_counter()
    assert isinstance(stage, ParityStage) and isinstance(config.tools, ToolsConfig)
    assert isinstance(config.model, ModelConfig) and isinstance(config.sampler, SamplerConfig)
    own = Settings(config.tools, config.model, config.sampler)
    model = chosen_model(folder.root, stage.model, own.model.path)
    taught = teacher_trajectories(folder.root, stage.tasks)
    toolbox = configured_toolbox(own.tools)
    tasks = [with_run_tools(trajectory.task, toolbox) for trajectory in taught]
    tasks += [Task(f"question-{n}", text, (), "") for n, text in enumerate(stage.questions)]
    if not tasks:
        raise InputError("nothing to ask: give stage.questions=['...'], or stage.tasks above 0 in a run with a rollout")
    tolerance = TOLERANCE[own.model.dtype] if stage.tolerance is None else stage.tolerance
    training = settings_of_training(own, model)
    with open_environment(model, training) as environment:
        trained = roll_out(environment, tasks)
        chat = environment.chat
    with open_environment(model, own) as environment:
        ways = {"eval": dict(enumerate(map(Said.of, roll_out(environment, tasks))))}
        ways |= ask_server(environment, trained)
        differences = asyncio.run(changed_results(taught, toolbox))
    found = [
        (f"{way}, {trained[place].task.id}", compare_said(part_of(trained[place], way), said, tolerance, chat.decode))
        for way, answers in ways.items()
        for place, said in answers.items()
    ]
    differences += [f"{where}: {entry.difference}" for where, entry in found if entry.difference is not None]
    record = {
        "model": model_name(model),
        "weights": fingerprint(model),
        "passed": not differences,
        "differences": differences,
        "compared": {way: len(answers) for way, answers in ways.items()},
        "calls": sum(len(trajectory.calls) for trajectory in trained),
        "results_of_training": sum(len(trajectory.calls) for trajectory in taught),
        "logprob_gap": max((entry.gap for _, entry in found), default=0.0),
        "ties": sum(entry.tied for _, entry in found),
        "tolerance": tolerance,
        "sampler": own.sampler.name,
        "ended": time(),
    }
    path = folder.root / PARITY / f"{model_name(model)}.json"
    path.parent.mkdir(exist_ok=True)
    write_file(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    for line in differences:
        logger.message(line)
    if differences:
        raise StageError(f"parity of {model_name(model)}: {len(differences)} differences, first {differences[0]}")
    logger.message(passed_line(record))
    return StageResult(counts=record, seconds={"total": perf_counter() - began})


def passed_line(record: Mapping[str, Any]) -> str:
    """Say what was equal."""
    counted = ", ".join(f"{way} {number}" for way, number in record["compared"].items())
    ties = f", {record['ties']} until a tie" if record["ties"] else ""
    return (
        f"parity of {record['model']}: all equal to rollouts with training's settings ({counted}{ties}; "
        f"{record['calls']} calls; logprobs within {record['logprob_gap']:.1g}), and "
        f"{record['results_of_training']} results of the teacher's calls as they were taught"
    )


def teacher_trajectories(root: Path, limit: int) -> list[Trajectory]:
    """Return the first of the run's rollout; none where it has no rollout."""
    path = root / "rollout" / "trajectories.jsonl"
    return load_trajectories(path)[:limit] if path.is_file() else []


def with_run_tools(task: Task, toolbox: Toolbox) -> Task:
    """Return the task with the run's tools, which are those that a server has. Raises InputError for others."""
    own = toolbox.default
    if own is None or (task.tools is not None and (task.gold or toolbox.schemas_json(task) != own.schemas_json)):
        raise InputError(
            f"task {task.id} of the run's rollout brings other tools, or schemas of them, than `tools` gives "
            "to a server; accepted: stage.tasks=0 with stage.questions=['...']"
        )
    return replace(task, tools=None)
