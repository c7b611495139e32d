"""`stage=rollout`: the teacher solves the tasks with tools, once.

tasks -> teacher, real tool calls -> trajectories.jsonl (verified), rejected.jsonl (the rest, with reasons). Both files
are in task order, but for tasks that a cap or a failing endpoint left for a later run. Run again, the stage goes on
behind what is stored. What teachers that sample need beside this is in `sampled_rollout.py` and `endpoint_rollout.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

from mentor.config import Config, ModelTeacher, OpenaiTeacher, RolloutStage, TaskConfig, ToolsConfig, WorkedTeacher
from mentor.errors import InputError, StageError
from mentor.files import write_file
from mentor.jsonl import read_jsonl, to_line
from mentor.loggers import Logger
from mentor.rows import read_rows
from mentor.runs import RunFolder
from mentor.stages import StageResult
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.tasks import load_tasks
from mentor.teachers import build_teacher
from mentor.teachers.outcomes import open_outcomes, solve_all
from mentor.teachers.selection import Contamination
from mentor.trajectories.rollout_counts import RolloutCounts
from mentor.types import Task


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Headline `rollout/verified_share`: verified trajectories of all tasks. Raises StageError when there are none."""
    stage, task, teacher, tools = config.stage, config.task, config.teacher, config.tools
    assert isinstance(stage, RolloutStage) and isinstance(task, TaskConfig) and isinstance(tools, ToolsConfig)
    began = perf_counter()
    tasks = load_tasks(**task.source())
    dropped = contaminated(tasks, stage.decontaminate)
    tasks = [task for task in tasks if task.id not in dropped][: stage.limit]
    toolbox = configured_toolbox(tools)
    if isinstance(teacher, OpenaiTeacher) and teacher.dry_run:
        return endpoint_rollout().dry_run(tasks, teacher, toolbox, logger)
    counts: dict[str, Any] = {}
    if stage.decontaminate:
        write_file(folder.path / "contaminated.jsonl", map(to_line, dropped.values()))
        counts["contaminated"] = len(dropped)
    if isinstance(teacher, OpenaiTeacher):
        reopen_failed(folder.path / "rejected.jsonl", logger)
    stored = RolloutCounts.stored(folder.path, logger.message)
    waiting = [task for task in tasks if task.id not in stored.ids]
    loaded = perf_counter()

    with open_outcomes(folder.path, stored, len(waiting), logger) as outcomes:
        if isinstance(teacher, OpenaiTeacher):
            ask = endpoint_rollout().ask_endpoint
            counts |= ask(waiting, teacher, toolbox, stage.concurrency, folder.path, outcomes, logger)
        elif isinstance(teacher, ModelTeacher):
            from mentor.stages.sampled_rollout import sample_model

            sample_model(waiting, teacher, tools, config.seed, folder.path, outcomes, logger)
        else:
            assert isinstance(teacher, WorkedTeacher)
            solver = build_teacher(teacher.name, teacher.alternative_share, config.seed)
            asyncio.run(solve_all(waiting, solver, toolbox, stage.concurrency, outcomes))
    if not isinstance(teacher, WorkedTeacher):
        from mentor.stages.sampled_rollout import selection_counts

        counts |= selection_counts(folder.path, tasks, toolbox, logger)
    say_counts(toolbox, logger)
    logger.log(0, stored.metrics())
    if outcomes.stopped_by is not None:
        counts["stopped_by"] = outcomes.stopped_by
        logger.message(f"stopped: {outcomes.stopped_by}; {len(stored.ids)} of {len(tasks)} tasks are done and stored")
    if stored.verified == 0:
        why = f"; stopped: {outcomes.stopped_by}" if outcomes.stopped_by else ""
        raise StageError(
            f"none of {len(tasks)} tasks gave a verified trajectory; rejected: {dict(stored.reasons)}{why}"
        )
    seconds = {"load": loaded - began, "solve": perf_counter() - loaded}
    return StageResult(("rollout/verified_share", stored.verified_share), stored.counts() | counts, seconds)


def endpoint_rollout() -> ModuleType:
    """The part that needs the client; raises StageError where it is not installed."""
    try:
        from mentor.stages import endpoint_rollout
    except ModuleNotFoundError as error:
        if error.name not in ("openai", "tenacity"):
            raise
        raise StageError(f"teacher=openai needs the package {error.name}: pip install 'mentor[openai]'") from error
    return endpoint_rollout


def reopen_failed(path: Path, logger: Logger) -> None:
    """Take the tasks whose requests failed off the list of rejected ones, so that this run asks again."""
    rows = list(read_jsonl(path, logger.message)) if path.exists() else []
    kept = [row for row in rows if row["reason"] != "request_failed"]
    if len(kept) < len(rows):
        write_file(path, map(to_line, kept))
        logger.message(f"{len(rows) - len(kept)} tasks whose requests failed are asked for again")


def contaminated(tasks: Sequence[Task], files: Sequence[str]) -> dict[str, dict[str, str]]:
    """By task id, what is dropped because it is like a question of an evaluation file, with the words they share."""
    questions = {
        file: [evaluation_question(*row) for row in read_rows(Path(file), "stage.decontaminate")] for file in files
    }
    contamination = Contamination(questions)
    matches = [(task, contamination.match(task.question)) for task in tasks]
    return {
        task.id: {"id": task.id, "question": task.question, "file": match[0], "shared": match[1]}
        for task, match in matches
        if match is not None
    }


def evaluation_question(place: str, row: dict[str, Any]) -> str:
    """Of a row of questions, or of a stored trajectory. Raises InputError where there is none."""
    task = row.get("task")
    question = row.get("question", task.get("question") if isinstance(task, dict) else None)
    if not isinstance(question, str):
        raise InputError(f"{place}: no question, accepted: rows with a key 'question', or trajectories")
    return question
