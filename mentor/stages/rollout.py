"""`stage=rollout`: the teacher solves the tasks with tools, once.

tasks -> teacher, real tool calls -> trajectories.jsonl (verified), rejected.jsonl (the rest, with reasons). Both files
are in task order, except for tasks that a cap or a failing endpoint left for a later run. A resumed stage continues
after the tasks that are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from mentor.config import Config, RolloutStage, TaskConfig, ToolsConfig
from mentor.errors import InputError, StageError
from mentor.files import write_file
from mentor.jsonl import Record, Report, read_jsonl, to_line
from mentor.loggers import Logger
from mentor.rows import read_rows
from mentor.runs import RunFolder
from mentor.stages import StageResult
from mentor.stages.teaching import configured_teacher, prompted
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.tasks import load_tasks
from mentor.tasks.requested_format import format_warnings, in_format
from mentor.teachers.outcomes import REJECTED, TRAJECTORIES, Outcomes, open_outcomes
from mentor.teachers.selection import Contamination
from mentor.trajectories.rollout_counts import RolloutCounts
from mentor.types import Task


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Headline `rollout/verified_share`: verified trajectories over all tasks. Raises StageError without any."""
    stage, task, tools = config.stage, config.task, config.tools
    assert isinstance(stage, RolloutStage) and isinstance(task, TaskConfig) and isinstance(tools, ToolsConfig)
    began = perf_counter()
    left_out: list[str] = []  # rows that are no tasks
    tasks = in_format(load_tasks(**task.source(), skipped=left_out), task.answer_format)
    if left_out:
        logger.message(f"bad rows left out: {len(left_out)}, first {left_out[0]}")
    for line in format_warnings(tasks, "task", prompted(config.teacher)):
        logger.message(line)
    dropped = contaminated(tasks, stage.decontaminate)
    tasks = [task for task in tasks if task.id not in dropped][: stage.limit]
    toolbox, teacher = configured_toolbox(tools, logger.message), configured_teacher(config)
    if (volume := teacher.dry_run(tasks, toolbox, logger.message)) is not None:
        return StageResult(None, volume)
    counts: dict[str, Any] = {"bad_rows": left_out} if left_out else {}
    if stage.decontaminate:
        write_file(folder.path / "contaminated.jsonl", map(to_line, dropped.values()))
        counts["contaminated"] = len(dropped)
    solved = folder.path / TRAJECTORIES
    retried = teacher.retried(solved.exists() and solved.stat().st_size > 0)
    reopen(folder.path / REJECTED, retried, logger.message)
    stored = RolloutCounts.stored(folder.path, logger.message)
    waiting = [task for task in tasks if task.id not in stored.ids]
    loaded = perf_counter()
    with open_outcomes(folder.path, stored, len(waiting), logger) as outcomes:
        outcomes.reject_rows(left_out)
        counts |= teacher.solve_all(waiting, toolbox, stage.concurrency, outcomes)
    counts |= teacher.counts(folder.path, tasks, toolbox, logger.message)
    never_worked = say_counts(toolbox, logger, worked=stored.tools)
    counts |= {"tools_that_never_worked": never_worked} if never_worked else {}
    logger.log(0, stored.metrics())
    rows = len(tasks) + len(left_out)
    counts |= stopped_by(outcomes, rows)
    if stored.verified == 0:
        raise StageError(nothing_verified(outcomes, rows))
    seconds = {"load": loaded - began, "solve": perf_counter() - loaded}
    return StageResult(("rollout/verified_share", stored.verified_share), stored.counts() | counts, seconds)


def stopped_by(outcomes: Outcomes, tasks: int) -> dict[str, str]:
    """Report a cap that was reached. Returns its entry in the counts of the summary, empty where none was."""
    if outcomes.stopped_by is None:
        return {}
    done = f"{len(outcomes.counts.ids)} of {tasks} tasks are done and stored"
    outcomes.logger.message(f"stopped: {outcomes.stopped_by}; {done}")
    return {"stopped_by": outcomes.stopped_by}


def nothing_verified(outcomes: Outcomes, tasks: int) -> str:
    """The error of a rollout without a verified trajectory: the counts, one rejected task and the file of all."""
    why = f"; stopped: {outcomes.stopped_by}" if outcomes.stopped_by else ""
    path = outcomes.folder / REJECTED
    row = next(read_jsonl(path), None)
    example = "" if row is None else f"; for example {row['id']}: {row['reason']}, {row['detail']:.160}; all in {path}"
    return f"none of {tasks} tasks gave a verified trajectory; rejected: {dict(outcomes.counts.reasons)}{example}{why}"


def reopen(path: Path, reasons: frozenset[str], report: Report) -> None:
    """Take tasks that were rejected for one of these reasons off the rejected ones, so that this run tries them."""
    rows = list(read_jsonl(path, report)) if reasons and path.exists() else []
    kept = [row for row in rows if row["reason"] not in reasons]
    if len(kept) < len(rows):
        write_file(path, map(to_line, kept))
        report(f"{len(rows) - len(kept)} tasks whose requests had no answer are tried again")


def contaminated(tasks: Sequence[Task], files: Sequence[str]) -> dict[str, Record]:
    """Find the tasks that are like a question of an evaluation file.

    Returns by task id its question, the file and the words they share. Raises InputError for a row without a question.
    """
    questions = {
        file: [evaluation_question(*row) for row in read_rows(Path(file), "stage.decontaminate")] for file in files
    }
    contamination = Contamination(questions)
    asked = {task.id: [m["content"] for m in task.prompt if m["role"] == "user"] for task in tasks}
    matches = [(task, next(filter(None, map(contamination.match, asked[task.id])), None)) for task in tasks]
    return {
        task.id: {"id": task.id, "question": task.question, "file": match[0], "shared": match[1]}
        for task, match in matches
        if match is not None
    }


def evaluation_question(place: str, row: dict[str, Any]) -> str:
    """Return the question of a row or of a stored trajectory. Raises InputError where there is none."""
    task = row.get("task")
    question = row.get("question", task.get("question") if isinstance(task, dict) else None)
    if not isinstance(question, str):
        raise InputError(f"{place}: no question, accepted: rows with a key 'question', or trajectories")
    return question
