"""`stage=eval`: accuracy and tool use of students on benchmarks, greedy and sampled, with 95 % intervals.

Every trajectory is kept in items.jsonl with its verdict, so an evaluation resumes where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from mentor.cards import write_cards
from mentor.config import Config, EvalStage, ModelConfig, SamplerConfig, ToolsConfig
from mentor.environment import Environment, RolloutRequest, derive_seed
from mentor.errors import GraderError
from mentor.evaluation.graders import TrajectoryGrader, open_grader
from mentor.evaluation.results import summarise, with_domains
from mentor.jsonl import read_jsonl
from mentor.loggers import Logger
from mentor.rewards.correctness import Grader
from mentor.runs import Evaluation, RunFolder, claim, evaluations
from mentor.runs.folder import settle
from mentor.runs.identity import config_hash, identity
from mentor.runs.model_folders import is_made_in
from mentor.runs.provenance import new_summary, read_summary, write_summary
from mentor.stages import StageResult
from mentor.stages.benchmark_tasks import benchmark_tasks, count_seen
from mentor.stages.chat_format import texts_around
from mentor.stages.checkpoint_model import loadable
from mentor.stages.judging import open_judge
from mentor.stages.student import student_environment
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.tasks.requested_format import format_warnings
from mentor.trajectories.store import TrajectoryWriter
from mentor.types import NO_TOOLS, Task, Trajectory

GRADED_AT_ONCE = 16  # trajectories; a grader may wait for another process, or for an endpoint
MAX_UNGRADED = 0.05  # share of answers the grader may fail on before the stage stops


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Evaluate every model of the run on every benchmark.

    Raises StageError for a benchmark without tasks, GraderError where too many answers could not be graded.
    """
    began = perf_counter()
    left_out: dict[str, list[str]] = {name: [] for name in config.benchmark}  # rows that are no tasks
    tasks = {name: benchmark_tasks(name, entry, config, left_out[name]) for name, entry in config.benchmark.items()}
    for name, lines in left_out.items():
        if lines:
            logger.message(f"{name}: bad rows left out: {len(lines)}, first {lines[0]}")
    assert isinstance(config.model, ModelConfig)
    around = texts_around(config.model)
    for name, loaded in tasks.items():
        for line in format_warnings(loaded, f"benchmark.{name}.task", around):
            logger.message(line)
    seen = count_seen(tasks, folder.root, logger)
    jobs = evaluations(config, folder.root)
    models = list(dict.fromkeys(job.model for job in jobs))
    results: list[dict[str, Any]] = []
    for model in models:
        own = [job for job in jobs if job.model == model]
        results += evaluate_model(model, own, tasks, config, folder.path, logger)
        if isinstance(model, Path) and is_made_in(model, folder.root, folder.path.parent):
            write_cards(Path(loadable(model)))
    return StageResult(
        headline=(f"accuracy/{results[0]['split']}", results[0]["accuracy"]) if results else None,
        counts={
            "models": len(models),
            "tasks": {name: len(entry) for name, entry in tasks.items()},
            "seen_in_training": seen,
            **({"bad_rows": left_out} if any(left_out.values()) else {}),
        },
        seconds={"total": perf_counter() - began},
    )


def evaluate_model(
    model: Path | str,
    jobs: Sequence[Evaluation],
    tasks: Mapping[str, Sequence[Task]],
    config: Config,
    eval_folder: Path,
    logger: Logger,
) -> list[dict[str, Any]]:
    """Evaluate one model on the benchmarks of its `jobs`; return the rows of all of them.

    The model is loaded once. Its memory is free again at the end, before the next one is loaded.
    """
    tools, loading, sampling = config.tools, config.model, config.sampler
    assert isinstance(tools, ToolsConfig) and isinstance(loading, ModelConfig) and isinstance(sampling, SamplerConfig)
    assert isinstance(config.stage, EvalStage)
    rows: list[dict[str, Any]] = []
    toolbox = configured_toolbox(tools, logger.message)
    with (
        student_environment(model, toolbox, loading, sampling) as environment,
        Grader(config.stage.grader_timeout_s) as answers,
    ):
        for job in jobs:
            rows += evaluate(job, tasks[job.benchmark], config, eval_folder, environment, answers, logger)
        say_counts(toolbox, logger)
    return rows


def evaluate(
    job: Evaluation,
    tasks: Sequence[Task],
    config: Config,
    eval_folder: Path,
    environment: Environment,
    answers: Grader,
    logger: Logger,
) -> list[dict[str, Any]]:
    """Evaluate one model on one benchmark; return the rows of its summary, the stored ones where it is done."""
    stage, sampling = config.stage, config.sampler
    assert isinstance(stage, EvalStage) and isinstance(sampling, SamplerConfig)
    folder, entry = eval_folder / job.folder, config.benchmark[job.benchmark]
    splits = entry.splits
    if claim(folder, job.config, config.overwrite) and (done := read_summary(folder)) and done["status"] == "done":
        logger.message(f"{job.folder}: already done")
        write_summary(folder, done | {"results": with_domains(done["results"], splits, job.trained_on)})
        return list(done["results"])
    settle(folder, restore=False)
    began = perf_counter()
    summary = new_summary("eval", config.seed, config_hash(identity(job.config)))
    write_summary(folder, summary)
    wanted = requests(tasks, stage, sampling, config.seed)
    at_once = sampling.max_running * len(environment.sampler.engines)
    with (
        open_judge(replace(config, benchmark={job.benchmark: entry}), folder, logger.message) as judge,
        open_grader(entry.grader, entry.terms, answers, logger.message, stage.grader_timeout_s, judge) as grader,
    ):
        items = answer(wanted, folder / "items.jsonl", job.folder, environment, grader, at_once, logger)
    ungraded = count_ungraded(items, job.folder)
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
    for row in results:
        how = row["mode"] + ("" if row["with_tools"] else " without tools")
        logger.message(f"{job.folder} {row['split']} {how}: {row['accuracy']:.1%} of {row['n']}")
    return results


def answer(
    wanted: Sequence[RolloutRequest],
    path: Path,
    title: str,
    environment: Environment,
    grader: TrajectoryGrader,
    batch: int,
    logger: Logger,
) -> list[dict[str, Any]]:
    """Sample and grade the requests that items.jsonl at `path` lacks, `batch` at a time; return all items."""
    items = list(read_jsonl(path, logger.message)) if path.is_file() else []
    left = wanted[len(items) :]
    with (
        TrajectoryWriter(path, logger.message) as store,
        logger.progress(len(wanted), title, len(items)) as progress,
        ThreadPoolExecutor(GRADED_AT_ONCE) as threads,
    ):
        for start in range(0, len(left), batch):
            part = left[start : start + batch]
            for item in threads.map(partial(judged, grader=grader), environment.rollout(part), part):
                store.write(item)
                items.append(item)
            correct = sum(item["correct"] is True for item in items)
            progress.advance(len(part), accuracy=correct / len(items))
    return items


def count_ungraded(items: Sequence[Mapping[str, Any]], title: str) -> int:
    """Count the answers without a verdict. Raises GraderError where they are more than MAX_UNGRADED of all."""
    ungraded = sum(item["correct"] is None for item in items)
    if ungraded > MAX_UNGRADED * len(items):
        raise GraderError(f"{title}: {ungraded} of {len(items)} answers could not be graded")
    return ungraded


def requests(tasks: Sequence[Task], stage: EvalStage, sampling: SamplerConfig, seed: int) -> list[RolloutRequest]:
    """Build one greedy request per task if asked for, then `samples` sampled ones, each with its own seed.

    First those with tools, then those without, as far as `stage.with_tools` asks for either.
    """
    wanted: list[RolloutRequest] = []
    for with_tools in stage.with_tools:
        offered = tasks if with_tools else [replace(task, tools=NO_TOOLS) for task in tasks]
        if stage.greedy:
            wanted += [RolloutRequest(task, seed=0, temperature=0.0) for task in offered]
        for sample in range(stage.samples):
            for task in offered:
                own = derive_seed(seed, task.id, sample)
                wanted.append(RolloutRequest(task, own, None, sampling.temperature, sampling.top_p, sampling.top_k))
    return wanted


def judged(trajectory: Trajectory, request: RolloutRequest, grader: TrajectoryGrader) -> dict[str, Any]:
    """Build a record of items.jsonl: how the trajectory was decoded, the verdict on it, and the trajectory."""
    mode = "greedy" if request.temperature == 0 else "sampled"
    how = {"mode": mode, "with_tools": request.task.tools != NO_TOOLS}
    return {**how, **grader.grade(trajectory).to_dict(), **trajectory.to_dict()}
