"""`stage=rollout`: the teacher solves the tasks with tools, once.

tasks -> teacher, real tool calls -> trajectories.jsonl (verified), rejected.jsonl (the rest, with reasons). Both files
are in task order, but for tasks that a cap or a failing endpoint left for a later run. Run again, the stage goes on
behind what is stored. What teachers that sample need beside this is in `sampled_rollout.py` and `endpoint_rollout.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

from mentor.config import Config, ModelTeacher, OpenaiTeacher, RolloutStage, TaskConfig, ToolsConfig, WorkedTeacher
from mentor.errors import InputError, StageError
from mentor.jsonl import JsonlWriter, read_jsonl, to_line
from mentor.loggers import Logger
from mentor.loggers.console import Progress
from mentor.runs import RunFolder
from mentor.stages import StageResult
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.tasks import load_tasks
from mentor.tasks.rows import read_rows
from mentor.teachers import CapReached, Rejection, Teacher, build_teacher
from mentor.teachers.selection import Contamination
from mentor.tools import Toolbox
from mentor.trajectories.tally import Tally
from mentor.types import Task, Trajectory


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
        write_whole(folder.path / "contaminated.jsonl", list(dropped.values()))
        counts["contaminated"] = len(dropped)
    if isinstance(teacher, OpenaiTeacher):
        reopen_failed(folder.path / "rejected.jsonl", logger)
    tally = Tally.stored(folder.path, logger.message)
    waiting = [task for task in tasks if task.id not in tally.ids]
    loaded = perf_counter()

    with open_outcomes(folder.path, tally, len(waiting), logger) as outcomes:
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
    logger.log(0, tally.metrics())
    if outcomes.stopped_by is not None:
        counts["stopped_by"] = outcomes.stopped_by
        logger.message(f"stopped: {outcomes.stopped_by}; {len(tally.ids)} of {len(tasks)} tasks are done and stored")
    if tally.verified == 0:
        why = f"; stopped: {outcomes.stopped_by}" if outcomes.stopped_by else ""
        raise StageError(f"none of {len(tasks)} tasks gave a verified trajectory; rejected: {dict(tally.reasons)}{why}")
    seconds = {"load": loaded - began, "solve": perf_counter() - loaded}
    return StageResult(("rollout/verified_share", tally.verified_share), tally.counts() | counts, seconds)


def endpoint_rollout() -> ModuleType:
    """The part that needs the client; raises StageError where it is not installed."""
    try:
        from mentor.stages import endpoint_rollout
    except ModuleNotFoundError as error:
        if error.name not in ("openai", "tenacity"):
            raise
        raise StageError(f"teacher=openai needs the package {error.name}: pip install 'mentor[openai]'") from error
    return endpoint_rollout


@dataclass
class Outcomes:
    """Where outcomes go, as soon as they are there. stopped_by: why tasks were left unsolved, None where none was."""

    verified: JsonlWriter
    rejected: JsonlWriter
    tally: Tally
    bar: Progress
    logger: Logger
    stopped_by: str | None = None

    def write(self, task: Task, outcome: Trajectory | Rejection | CapReached) -> None:
        if isinstance(outcome, CapReached):
            self.stopped_by = str(outcome)
            return
        if isinstance(outcome, Rejection):
            record = {"id": task.id, **asdict(outcome), "question": task.question}
            self.rejected.write(record)
            self.tally.reject(record)
        else:
            self.verified.write(outcome.to_dict())
            self.tally.keep(outcome)
        self.bar.advance(verified=self.tally.verified, rejected=self.tally.rejected)


@contextmanager
def open_outcomes(folder: Path, tally: Tally, waiting: int, logger: Logger) -> Iterator[Outcomes]:
    with (
        JsonlWriter(folder / "trajectories.jsonl", logger.message) as verified,
        JsonlWriter(folder / "rejected.jsonl", logger.message) as rejected,
        logger.progress(waiting + len(tally.ids), "rollout", len(tally.ids)) as bar,
    ):
        yield Outcomes(verified, rejected, tally, bar, logger)


async def solve_all(
    tasks: Sequence[Task], teacher: Teacher, toolbox: Toolbox, concurrency: int, outcomes: Outcomes
) -> None:
    """Write every outcome as soon as those of the tasks before it are written."""
    async with toolbox, aclosing(in_order(tasks, teacher, toolbox, concurrency)) as solved:
        outcomes.logger.message(toolbox.summary)
        async for task, outcome in solved:
            outcomes.write(task, outcome)


async def in_order(
    tasks: Sequence[Task], teacher: Teacher, toolbox: Toolbox, concurrency: int
) -> AsyncGenerator[tuple[Task, Trajectory | Rejection | CapReached], None]:
    """Outcomes in task order, with up to `concurrency` tasks in flight. A cap ends those tasks that need more."""
    flying: deque[tuple[Task, asyncio.Task[Trajectory | Rejection | CapReached]]] = deque()
    try:
        for task in tasks:
            if len(flying) >= concurrency:
                yield flying[0][0], await flying[0][1]
                flying.popleft()
            flying.append((task, asyncio.create_task(_solved(teacher, task, toolbox))))
        while flying:
            yield flying[0][0], await flying[0][1]
            flying.popleft()
    finally:
        for _, outcome in flying:
            outcome.cancel()


async def _solved(teacher: Teacher, task: Task, toolbox: Toolbox) -> Trajectory | Rejection | CapReached:
    try:
        async with toolbox.lease(task) as executor:
            return await teacher.solve(task, executor)
    except CapReached as cap:
        return cap


def reopen_failed(path: Path, logger: Logger) -> None:
    """Take the tasks whose requests failed off the list of rejected ones, so that this run asks again."""
    rows = list(read_jsonl(path, logger.message)) if path.exists() else []
    kept = [row for row in rows if row["reason"] != "request_failed"]
    if len(kept) < len(rows):
        write_whole(path, kept)
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


def write_whole(path: Path, records: Sequence[dict[str, Any]]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(map(to_line, records)), encoding="utf-8")
    os.replace(partial, path)
