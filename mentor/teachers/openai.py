"""The teacher behind an OpenAI-compatible endpoint. Needs the `openai` extra."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mentor.config import OpenaiTeacher
from mentor.endpoints.endpoint import Endpoint, RequestFailed, api_key, redactor
from mentor.endpoints.reply import read_reply
from mentor.endpoints.request_store import RequestStore
from mentor.endpoints.spending import Spending
from mentor.errors import StageError
from mentor.jsonl import Record, Report
from mentor.teachers.endpoint_session import EndpointSession
from mentor.teachers.estimate import estimate
from mentor.teachers.outcomes import Outcomes, solve_all
from mentor.teachers.refusals import UNANSWERED, Refusals
from mentor.teachers.sampled import SamplingTeacher, open_verifier
from mentor.tools import Toolbox
from mentor.types import Task

SECTION = "teacher"
QUESTION = "Reply with the word ok."
ENDPOINT_KEYS = (
    *("base_url", "model", "temperature", "top_p", "max_tokens", "seed", "extra_body"),
    *("concurrency", "timeout_s", "max_retries", "max_retry_s"),
)


class EndpointTeacher(SamplingTeacher):
    """`teacher=openai`."""

    def __init__(self, settings: OpenaiTeacher) -> None:
        self.settings = settings

    def solve_all(
        self, tasks: Sequence[Task], toolbox: Toolbox, concurrency: int, outcomes: Outcomes
    ) -> dict[str, Any]:
        """Counts `requests`: stored answers, replayed ones, faults, tokens, cost. Raises ConfigError without a key."""
        settings, report = self.settings, outcomes.logger.message
        key = api_key(settings.api_key_env, SECTION)
        spending = Spending(
            SECTION, settings.max_total_tokens, settings.max_cost, settings.input_price, settings.output_price
        )
        with (
            RequestStore(outcomes.folder / "requests", spending.count, redactor(key), report) as store,
            open_verifier(outcomes.folder, settings.choose, report) as verifier,
        ):
            endpoint = Endpoint(store, spending, section=SECTION, api_key=key, **self._endpoint_settings())
            limits = (settings.max_turns, settings.max_calls_per_turn)
            session = EndpointSession(endpoint, verifier, settings.samples, *limits, settings.instruction)
            name = f"teacher.base_url={settings.base_url} teacher.model={settings.model}"
            refusals = Refusals(outcomes, settings.max_refused_in_a_row, concurrency, name, endpoint.stop)

            async def ask() -> None:
                async with endpoint:
                    await solve_all(tasks, session.solve, toolbox, refusals.room, refusals.write, report)

            asyncio.run(ask())
            requests = {"answers": len(store), "replayed": store.replayed, "faults": dict(store.faults.most_common())}
        report(f"requests: {requests}, {spending.counts()}")
        refusals.finish()
        return {"requests": {**requests, **spending.counts()}}

    def retried(self, solved: bool) -> frozenset[str]:
        """Those whose requests failed; where no task is solved yet, the refused ones too: the cause may be mended."""
        return frozenset({"request_failed"}) if solved else UNANSWERED

    def dry_run(self, tasks: Sequence[Task], toolbox: Toolbox, report: Report) -> dict[str, Any] | None:
        """With `teacher.dry_run`: report requests, tokens and cost, expected and at most. Nothing is asked."""
        settings = self.settings
        if not settings.dry_run:
            return None
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
        report(f"dry run: {len(tasks)} tasks, {settings.samples} tries at each; nothing is asked")
        for name, volume in (("expected", expected), ("at most", most)):
            report(
                f"{name}: {volume.requests:,} requests, {volume.prompt_tokens:,} prompt tokens, "
                f"{volume.completion_tokens:,} sampled tokens, cost {volume.cost:.2f}"
            )
        return {"tasks": len(tasks), "expected": asdict(expected), "most": asdict(most)}

    def smoke_check(self) -> list[str]:
        """One short request. Raises StageError where the endpoint gives no answer."""
        answer = asyncio.run(self._ask_once())
        said = " ".join(read_reply(answer["message"]).content.split())[:80]
        usage = answer["usage"]
        tokens = f"{usage['prompt_tokens']} prompt and {usage['completion_tokens']} sampled tokens"
        return [f"teacher: {self.settings.base_url} answers as {answer['model']}: {said!r} ({tokens})"]

    async def _ask_once(self) -> Record:
        """One answer, stored nowhere, after at most two attempts."""
        settings = self.settings
        key = api_key(settings.api_key_env, SECTION)
        spending = Spending(SECTION, None, None, settings.input_price, settings.output_price)
        plain = self._endpoint_settings() | {"max_retries": 1, "max_retry_s": 60.0}
        with (
            tempfile.TemporaryDirectory() as scratch,
            RequestStore(Path(scratch), spending.count, redactor(key), lambda line: None) as store,
        ):
            async with Endpoint(store, spending, section=SECTION, api_key=key, **plain) as endpoint:
                try:
                    return await endpoint.complete([{"role": "user", "content": QUESTION}], [], 0)
                except RequestFailed as failure:
                    raise StageError(
                        f"teacher.base_url={settings.base_url} teacher.model={settings.model} gives no answer: "
                        f"{failure.detail}"
                    ) from None

    def _endpoint_settings(self) -> dict[str, Any]:
        return {name: getattr(self.settings, name) for name in ENDPOINT_KEYS}
