"""`stage=eval`: accuracy and tool use of students on benchmarks, greedy and sampled, with 95 % intervals.

Every trajectory is kept in items.jsonl with its verdict, so an evaluation goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from mentor.config import BenchmarkConfig, Config, EvalStage, ModelConfig, SamplerConfig, ToolsConfig
from mentor.environment import Environment, RolloutRequest, derive_seed
from mentor.errors import GraderError, StageError
from mentor.evaluation.graders import TrajectoryGrader, build_grader
from mentor.evaluation.results import summarise, with_domains
from mentor.jsonl import JsonlWriter, read_jsonl
from mentor.loggers import Logger
from mentor.policy.model import torch_dtype
from mentor.rewards.correctness import Grader
from mentor.runs import Evaluation, RunFolder, claim, evaluations
from mentor.runs.folder import settle
from mentor.runs.identity import config_hash, identity
from mentor.runs.provenance import new_summary, read_summary, write_summary
from mentor.stages import StageResult
from mentor.stages.chat_format import load_chat
from mentor.stages.rollout_engine import open_sampler, rollout_limits
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.tasks import load_tasks
from mentor.tasks.calculator import normalized
from mentor.teachers import Rejection, build_teacher
from mentor.tools import Toolbox
from mentor.types import NO_TOOLS, Task, Trajectory

MAX_UNGRADED = 0.05  # share of answers the grader may fail on before the stage stops


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    tools, sampling, model, stage = config.tools, config.sampler, config.model, config.stage
    assert isinstance(tools, ToolsConfig) and isinstance(sampling, SamplerConfig)
    assert isinstance(model, ModelConfig) and isinstance(stage, EvalStage)
    began = perf_counter()
    tasks = {name: benchmark_tasks(name, entry, config) for name, entry in config.benchmark.items()}
    seen = {name: seen_in_training(entry, folder.root) for name, entry in tasks.items()}
    for name, count in seen.items():
        if count:
            logger.message(f"{name}: {count} of {len(tasks[name])} questions are among the run's training tasks")
    jobs = evaluations(config, folder.root)
    headline = None
    for path in dict.fromkeys(job.model for job in jobs):
        with student_environment(path, tools, model, sampling) as environment, Grader() as answers:
            for job in jobs:
                if job.model != path:
                    continue
                grader = build_grader(config.benchmark[job.benchmark].grader, answers)
                results = evaluate(job, tasks[job.benchmark], config, folder.path, environment, grader, logger)
                headline = headline or (f"accuracy/{results[0]['split']}", results[0]["accuracy"])
            say_counts(environment.toolbox, logger)
            del environment  # the next model is loaded into the memory this one leaves
    models = len({job.model for job in jobs})
    return StageResult(
        headline=headline,
        counts={
            "models": models,
            "tasks": {name: len(entry) for name, entry in tasks.items()},
            "seen_in_training": seen,
        },
        seconds={"total": perf_counter() - began},
    )


@contextmanager
def student_environment(
    path: Path | str, tools: ToolsConfig, model: ModelConfig, sampling: SamplerConfig
) -> Iterator[Environment]:
    """One student with its tools, ready for rollouts; its weights and cache are freed at the end."""
    chat = load_chat(path, model)
    toolbox = configured_toolbox(tools)
    with (
        open_sampler(sampling, path, chat.eos_id, torch_dtype(model.dtype)) as sampler,
        Environment(sampler, toolbox, chat, rollout_limits(sampling), sampling.deterministic) as environment,
    ):
        yield environment


def evaluate(
    job: Evaluation,
    tasks: Sequence[Task],
    config: Config,
    eval_folder: Path,
    environment: Environment,
    grader: TrajectoryGrader,
    logger: Logger,
) -> list[dict[str, Any]]:
    """One model on one benchmark: the rows of its summary, from a stored one where it is done."""
    stage, sampling = config.stage, config.sampler
    assert isinstance(stage, EvalStage) and isinstance(sampling, SamplerConfig)
    folder, splits = eval_folder / job.folder, config.benchmark[job.benchmark].splits
    if claim(folder, job.config, config.overwrite) and (done := read_summary(folder)) and done["status"] == "done":
        logger.message(f"{job.folder}: already done")
        write_summary(folder, done | {"results": with_domains(done["results"], splits, job.trained_on)})
        return list(done["results"])
    settle(folder, restore=False)
    began = perf_counter()
    summary = new_summary("eval", config.seed, config_hash(identity(job.config)))
    write_summary(folder, summary)
    path = folder / "items.jsonl"
    items = list(read_jsonl(path, logger.message)) if path.is_file() else []
    wanted = requests(tasks, stage, sampling, config.seed, grader.runs_calls)
    left = wanted[len(items) :]
    with JsonlWriter(path, logger.message) as store, logger.progress(len(wanted), job.folder, len(items)) as progress:
        for start in range(0, len(left), sampling.max_running):
            part = left[start : start + sampling.max_running]
            for request, trajectory in zip(part, environment.rollout(part), strict=True):
                item = judged(trajectory, request, grader)
                store.write(item)
                items.append(item)
            correct = sum(item["correct"] is True for item in items)
            progress.advance(len(part), accuracy=correct / len(items))
    ungraded = sum(item["correct"] is None for item in items)
    if ungraded > MAX_UNGRADED * len(items):
        raise GraderError(f"{job.folder}: {ungraded} of {len(items)} answers could not be graded")
    results = summarise(items, splits, job.trained_on)
    summary.update(
        status="done",
        model=job.model_name,
        model_path=str(job.model),
        benchmark=job.benchmark,
        results=results,
        counts={"trajectories": len(items), "ungraded": ungraded},
        seconds={"total": perf_counter() - began},
        headline={"name": f"accuracy/{results[0]['split']}", "value": results[0]["accuracy"]},
    )
    write_summary(folder, summary)
    for entry in results:
        how = entry["mode"] + ("" if entry["with_tools"] else " without tools")
        logger.message(f"{job.folder} {entry['split']} {how}: {entry['accuracy']:.1%} of {entry['n']}")
    return results


def benchmark_tasks(name: str, entry: BenchmarkConfig, config: Config) -> list[Task]:
    """The tasks of one benchmark, with the teacher's calls where a teacher is named for it."""
    stage, tools = config.stage, config.tools
    assert isinstance(stage, EvalStage) and isinstance(tools, ToolsConfig)
    loaded = load_tasks(**entry.task.source(), splits=list(entry.splits), where=f"benchmark.{name}.task")
    tasks = [task for split in entry.splits for task in [t for t in loaded if t.split == split][: stage.limit]]
    if not tasks:
        raise StageError(f"benchmark.{name} has no task in splits {', '.join(entry.splits)}")
    if entry.teacher is None:
        return tasks
    return asyncio.run(with_reference(tasks, entry.teacher, configured_toolbox(tools)))


def seen_in_training(tasks: Sequence[Task], root: Path) -> int:
    """How many questions, case and spacing aside, are among the tasks that the run's students were trained on."""
    taught = root / "rollout" / "trajectories.jsonl"
    if not taught.is_file():
        return 0
    questions = {normalized(record["task"]["question"]) for record in read_jsonl(taught)}
    return sum(normalized(task.question) in questions for task in tasks)


async def with_reference(tasks: Sequence[Task], teacher_name: str, toolbox: Toolbox) -> list[Task]:
    """The tasks with the calls of the teacher's usual path; a task the teacher rejects keeps its own reference."""
    teacher = build_teacher(teacher_name, 0.0, 0)

    async def solve(task: Task) -> Trajectory | Rejection:
        async with toolbox.lease(task) as executor:
            return await teacher.solve(task, executor)

    async with toolbox:
        solved = await asyncio.gather(*map(solve, tasks))
    return [
        replace(task, reference=tuple(found.executed_calls())) if isinstance(found, Trajectory) else task
        for task, found in zip(tasks, solved, strict=True)
    ]


def requests(
    tasks: Sequence[Task], stage: EvalStage, sampling: SamplerConfig, seed: int, run_calls: bool = True
) -> list[RolloutRequest]:
    """One greedy request per task if asked for, then `samples` sampled ones, each with a seed of its own.

    All of them with tools, without, or both, one after the other.
    """
    wanted: list[RolloutRequest] = []
    for with_tools in stage.with_tools:
        offered = tasks if with_tools else [replace(task, tools=NO_TOOLS) for task in tasks]
        if stage.greedy:
            wanted += [RolloutRequest(task, seed=0, temperature=0.0, run_calls=run_calls) for task in offered]
        for sample in range(stage.samples):
            for task in offered:
                own = derive_seed(seed, task.id, sample)
                wanted.append(RolloutRequest(task, own, None, sampling.temperature, sampling.top_p, run_calls))
    return wanted


def judged(trajectory: Trajectory, request: RolloutRequest, grader: TrajectoryGrader) -> dict[str, Any]:
    """A record of items.jsonl: how the trajectory came about, the verdict on it, and the trajectory."""
    mode = "greedy" if request.temperature == 0 else "sampled"
    how = {"mode": mode, "with_tools": request.task.tools != NO_TOOLS}
    return {**how, **grader.grade(trajectory).to_dict(), **trajectory.to_dict()}
