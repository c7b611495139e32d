"""What `stage=rollout` needs for teachers that sample: an endpoint or a model in this process, and what to count."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mentor.config import ModelConfig, ModelTeacher, OpenaiTeacher, ToolsConfig
from mentor.errors import ConfigError
from mentor.jsonl import JsonlWriter
from mentor.loggers import Logger
from mentor.rewards.correctness import Grader
from mentor.stages import StageResult
from mentor.stages.rollout import Outcomes, solve_all
from mentor.teachers.endpoint import Endpoint, Spending, redactor
from mentor.teachers.estimate import estimate
from mentor.teachers.openai import OpenaiTeacher as EndpointTeacher
from mentor.teachers.request_store import RequestStore
from mentor.teachers.sampled import SAMPLES, Verifier, sample_counts
from mentor.teachers.selection import coverage
from mentor.tools import ToolExecutor, Toolset, build_toolset
from mentor.trajectories.store import load_trajectories
from mentor.types import Task

ENDPOINT_KEYS = (
    *("base_url", "model", "temperature", "top_p", "max_tokens", "seed", "extra_body"),
    *("concurrency", "timeout_s", "max_retries", "max_retry_s"),
)


def ask_endpoint(
    tasks: Sequence[Task],
    settings: OpenaiTeacher,
    executor: ToolExecutor,
    concurrency: int,
    folder: Path,
    outcomes: Outcomes,
    logger: Logger,
) -> dict[str, Any]:
    """Solve the tasks with a model behind an endpoint; what was asked, for the summary."""
    key = api_key(settings.api_key_env)
    spending = Spending(settings.max_total_tokens, settings.max_cost, settings.input_price, settings.output_price)
    plain = {name: getattr(settings, name) for name in ENDPOINT_KEYS}
    with (
        RequestStore(folder / "requests", spending.count, redactor(key), logger.message) as store,
        open_verifier(folder, settings.choose, logger) as verifier,
    ):
        endpoint = Endpoint(store, spending, api_key=key, **plain)
        teacher = EndpointTeacher(endpoint, verifier, settings.samples, settings.max_turns, settings.instruction)

        async def ask() -> None:
            async with endpoint:
                await solve_all(tasks, teacher, executor, concurrency, outcomes)

        asyncio.run(ask())
        requests = {"answers": len(store), "replayed": store.replayed, "faults": dict(store.faults.most_common())}
    logger.message(f"requests: {requests}, {spending.counts()}")
    return {"requests": {**requests, **spending.counts()}}


def sample_model(
    tasks: Sequence[Task],
    settings: ModelTeacher,
    tools: ToolsConfig,
    seed: int,
    folder: Path,
    outcomes: Outcomes,
    logger: Logger,
) -> None:
    """Solve the tasks with a model in this process, as many at a time as the sampler runs."""
    from mentor.stages.evaluate import student_environment
    from mentor.teachers.model import tries_at

    model = ModelConfig(
        name="teacher",
        dtype=settings.dtype,
        chat_template=settings.chat_template,
        question_template=settings.question_template,
        enable_thinking=settings.enable_thinking,
    )
    toolset, sampler, samples = build_toolset(tools.name, tools.path), settings.sampler, settings.samples
    assert settings.path is not None
    with (
        student_environment(settings.path, toolset, tools, model, sampler) as environment,
        open_verifier(folder, settings.choose, logger) as verifier,
    ):
        at_once = max(1, sampler.max_running // samples)
        for start in range(0, len(tasks), at_once):
            part = [replace(task, toolset=toolset.name) for task in tasks[start : start + at_once]]
            tries = tries_at(part, environment, samples, seed, sampler.temperature, sampler.top_p)
            for task, attempts in zip(part, tries, strict=True):
                outcomes.write(task, verifier.conclude(task, [verifier.judged(attempt) for attempt in attempts]))


def selection_counts(folder: Path, tasks: Sequence[Task], toolset: Toolset, logger: Logger) -> dict[str, Any]:
    """What became of all tries, and what the kept trajectories cover, for the summary."""
    kept = load_trajectories(folder / "trajectories.jsonl", logger.message)
    return {
        "tries": sample_counts(folder / SAMPLES, logger.message),
        "coverage": coverage(kept, tasks, toolset.names),
    }


def dry_run(tasks: Sequence[Task], settings: OpenaiTeacher, toolset: Toolset, logger: Logger) -> StageResult:
    """Say what asking would take; nothing is asked."""
    expected, most = estimate(
        tasks,
        toolset.schemas_json,
        settings.instruction,
        settings.samples,
        settings.max_turns,
        settings.max_tokens,
        settings.input_price,
        settings.output_price,
    )
    logger.message(f"dry run: {len(tasks)} tasks, {settings.samples} tries at each; nothing is asked")
    for name, volume in (("expected", expected), ("at most", most)):
        logger.message(
            f"{name}: {volume.requests:,} requests, {volume.prompt_tokens:,} prompt tokens, "
            f"{volume.completion_tokens:,} sampled tokens, cost {volume.cost:.2f}"
        )
    return StageResult(None, {"tasks": len(tasks), "expected": asdict(expected), "most": asdict(most)})


def api_key(variable: str | None) -> str | None:
    """The key from the environment. Raises ConfigError where the variable is not set."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"`teacher.api_key_env={variable}`: the environment has no such variable; set it to the endpoint's key, or "
            "teacher.api_key_env=null for an endpoint that needs none"
        )
    return key


@contextmanager
def open_verifier(folder: Path, choose: str, logger: Logger) -> Iterator[Verifier]:
    with JsonlWriter(folder / SAMPLES, logger.message) as log, Grader() as grader:
        yield Verifier(grader, choose, log)
