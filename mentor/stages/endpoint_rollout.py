"""What `stage=rollout` needs for a teacher behind an endpoint. Imported only then: the client is an extra."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mentor.config import OpenaiTeacher
from mentor.errors import ConfigError, StageError
from mentor.loggers import Logger
from mentor.stages import StageResult
from mentor.stages.sampled_rollout import open_verifier
from mentor.teachers.endpoint import Endpoint, RequestFailed, Spending, redactor
from mentor.teachers.estimate import estimate
from mentor.teachers.openai import EndpointTeacher
from mentor.teachers.outcomes import Outcomes, solve_all
from mentor.teachers.request_store import RequestStore
from mentor.tools import Toolbox
from mentor.types import Task

QUESTION = "Reply with the word ok."
ENDPOINT_KEYS = (
    *("base_url", "model", "temperature", "top_p", "max_tokens", "seed", "extra_body"),
    *("concurrency", "timeout_s", "max_retries", "max_retry_s"),
)


def ask_endpoint(
    tasks: Sequence[Task],
    settings: OpenaiTeacher,
    toolbox: Toolbox,
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
                await solve_all(tasks, teacher, toolbox, concurrency, outcomes)

        asyncio.run(ask())
        requests = {"answers": len(store), "replayed": store.replayed, "faults": dict(store.faults.most_common())}
    logger.message(f"requests: {requests}, {spending.counts()}")
    return {"requests": {**requests, **spending.counts()}}


async def ask_once(settings: OpenaiTeacher) -> dict[str, Any]:
    """One short answer of the endpoint, kept nowhere, after two attempts. Raises StageError where there is none."""
    key = api_key(settings.api_key_env)
    spending = Spending(None, None, settings.input_price, settings.output_price)
    plain = {name: getattr(settings, name) for name in ENDPOINT_KEYS} | {"max_retries": 1, "max_retry_s": 60.0}
    with (
        tempfile.TemporaryDirectory() as scratch,
        RequestStore(Path(scratch), spending.count, redactor(key), lambda line: None) as store,
    ):
        async with Endpoint(store, spending, api_key=key, **plain) as endpoint:
            try:
                return await endpoint.complete([{"role": "user", "content": QUESTION}], [], 0)
            except RequestFailed as failure:
                raise StageError(
                    f"teacher.base_url={settings.base_url} teacher.model={settings.model} gives no answer: "
                    f"{failure.detail}"
                ) from None


def dry_run(tasks: Sequence[Task], settings: OpenaiTeacher, toolbox: Toolbox, logger: Logger) -> StageResult:
    """Say what asking would take; nothing is asked."""
    expected, most = estimate(
        tasks,
        toolbox.schemas_json,
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
