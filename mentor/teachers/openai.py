"""The teacher behind an OpenAI-compatible endpoint. Needs the `openai` extra."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mentor.config import OpenaiTeacher
from mentor.endpoints.endpoint import Endpoint, RequestFailed, api_key, redactor
from mentor.endpoints.reply import read_reply
from mentor.endpoints.request_store import RequestStore
from mentor.endpoints.spending import Spending
from mentor.errors import StageError
from mentor.jsonl import Record, Report
from mentor.teachers.endpoint_dialogue import EndpointDialogue
from mentor.teachers.endpoint_session import EndpointSession
from mentor.teachers.estimate import estimate
from mentor.teachers.outcomes import Outcomes, Rejection, solve_all
from mentor.teachers.refusals import UNANSWERED, Refusals
from mentor.teachers.sampled import SamplingTeacher, open_verifier
from mentor.tools import Toolbox, ToolExecutor
from mentor.types import Task, Trajectory

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
        with (
            self._stored_endpoint(outcomes.folder / "requests", report) as endpoint,
            open_verifier(outcomes.folder, settings.choose, report) as verifier,
        ):
            session = self._session(endpoint)
            name = f"teacher.base_url={settings.base_url} teacher.model={settings.model}"
            refusals = Refusals(outcomes, settings.max_refused_in_a_row, concurrency, name, endpoint.stop)

            async def solve(task: Task, executor: ToolExecutor) -> Trajectory | Rejection:
                return await session.solve(task, executor, settings.samples, verifier)

            async def ask() -> None:
                async with endpoint:
                    await solve_all(tasks, solve, toolbox, refusals.room, refusals.write, report)

            asyncio.run(ask())
            store, spending = endpoint.store, endpoint.spending
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
        uncapped = replace(settings, max_total_tokens=None, max_cost=None, max_retries=1, max_retry_s=60.0)
        with EndpointTeacher(uncapped)._scratch_endpoint() as endpoint:
            async with endpoint:
                try:
                    return await endpoint.complete([{"role": "user", "content": QUESTION}], [], 0)
                except RequestFailed as failure:
                    raise StageError(
                        f"teacher.base_url={settings.base_url} teacher.model={settings.model} gives no answer: "
                        f"{failure.detail}"
                    ) from None

    @contextmanager
    def open_dialogue(self, toolbox: Toolbox) -> Iterator[EndpointDialogue]:
        """Open a conversation with the tools, whose answers are kept in no run. Raises ConfigError without a key."""
        with self._scratch_endpoint() as endpoint, EndpointDialogue(self._session(endpoint), toolbox) as dialogue:
            yield dialogue

    def _session(self, endpoint: Endpoint) -> EndpointSession:
        settings = self.settings
        return EndpointSession(endpoint, settings.max_turns, settings.max_calls_per_turn, settings.instruction)

    @contextmanager
    def _scratch_endpoint(self) -> Iterator[Endpoint]:
        """An endpoint whose answers are forgotten."""
        with (
            tempfile.TemporaryDirectory() as scratch,
            self._stored_endpoint(Path(scratch), lambda line: None) as endpoint,
        ):
            yield endpoint

    @contextmanager
    def _stored_endpoint(self, folder: Path, report: Report) -> Iterator[Endpoint]:
        """An endpoint whose answers are stored in a folder. Raises ConfigError without a key."""
        settings = self.settings
        key = api_key(settings.api_key_env, SECTION)
        prices = (settings.input_price, settings.output_price)
        spending = Spending(SECTION, settings.max_total_tokens, settings.max_cost, *prices)
        asked = {name: getattr(settings, name) for name in ENDPOINT_KEYS}
        with RequestStore(folder, spending.count, redactor(key), report) as store:
            yield Endpoint(store, spending, section=SECTION, api_key=key, **asked)
