"""`stage=eval`: accuracy and tool use of students on benchmarks, greedy and sampled, with 95 % intervals.

Every trajectory is kept in items.jsonl with its verdict, so an evaluation resumes where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from mentor.cards import write_cards
from mentor.config import Config, EvalStage, ModelConfig, SamplerConfig, ToolsConfig
from mentor.environment import Environment
from mentor.evaluation.graders import open_grader
from mentor.evaluation.results import summarise, with_domains
from mentor.loggers import Logger
from mentor.policy.ranks import Ranks
from mentor.rewards.correctness import Grader
from mentor.runs import Evaluation, RunFolder, claim, evaluations
from mentor.runs.folder import settle
from mentor.runs.identity import config_hash, identity
from mentor.runs.model_folders import is_made_in
from mentor.runs.provenance import new_summary, read_summary, write_summary
from mentor.stages import StageResult
from mentor.stages.benchmark_items import answer, count_ungraded, requests, stored_items
from mentor.stages.benchmark_tasks import benchmark_tasks, count_seen
from mentor.stages.chat_format import texts_around
from mentor.stages.checkpoint_model import held
from mentor.stages.judging import open_judge
from mentor.stages.perturbing import counted, say_left_out
from mentor.stages.student import student_environment
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.tasks.requested_format import format_warnings
from mentor.types import Task


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Evaluate every model of the run on every benchmark.

    Raises StageError for a benchmark without tasks, GraderError where too many answers could not be graded.
    """
    began = perf_counter()
    left_out: dict[str, list[str]] = {name: [] for name in config.benchmark}  # rows that are no tasks
    pathless: dict[str, list[str]] = {name: [] for name in config.benchmark}  # tasks without the tool that is missing
    tasks = {
        name: benchmark_tasks(name, entry, config, left_out[name], pathless[name])
        for name, entry in config.benchmark.items()
    }
    for name, ids in pathless.items():
        say_left_out(name, ids, tasks[name], logger.message)
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
        with held(model) as weights:
            results += evaluate_model(weights, own, tasks, config, folder.path, logger)
            if isinstance(weights, Path) and is_made_in(weights, folder.root, folder.path.parent):
                write_cards(weights)
    return StageResult(
        headline=(f"accuracy/{results[0]['split']}", results[0]["accuracy"]) if results else None,
        counts={
            "models": len(models),
            "tasks": {name: len(entry) for name, entry in tasks.items()},
            "seen_in_training": seen,
            **({"tasks_without_other_path": no_path} if (no_path := counted(pathless)) else {}),
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
    wanted, path, alone = requests(tasks, stage, sampling, config.seed), folder / "items.jsonl", Ranks()
    items = stored_items(wanted, path, environment, sampling.max_running, logger, alone)
    with (
        open_judge(replace(config, benchmark={job.benchmark: entry}), folder, logger.message) as judge,
        open_grader(entry.grader, entry.terms, answers, logger.message, stage.grader_timeout_s, judge) as grader,
        logger.progress(len(wanted), job.folder, len(items)) as progress,
    ):

        def advance(done: int, accuracy: float) -> None:
            progress.advance(done, accuracy=accuracy)

        answer(wanted, items, path, environment, grader, sampling.max_running, logger, alone, advance)
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
