"""An endpoint that blocking code of any thread may ask: its event loop runs in a separate thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mentor.closing import Closing
from mentor.endpoints.request_store import RequestStore
from mentor.endpoints.spending import NoMoreRequests, Spending
from mentor.errors import StageError
from mentor.jsonl import Record, Report

T = TypeVar("T")
Conversation = list[dict[str, Any]]


@dataclass(frozen=True)
class Unanswered:
    """A request that has no answer. reason: request_failed (retried in vain) or request_refused."""

    reason: str
    detail: str


class BackgroundEndpoint(Closing):
    """An open Endpoint with its store in `folder`. settings: those of Endpoint but for the key.

    Raises StageError where a package is missing, ConfigError without a key.
    """

    def __init__(
        self, folder: Path, spending: Spending, api_key_env: str | None, settings: dict[str, Any], report: Report
    ) -> None:
        try:
            from mentor.endpoints.endpoint import Endpoint, RequestFailed, api_key, redactor
        except ModuleNotFoundError as error:
            if error.name not in ("openai", "tenacity"):
                raise
            needed = f"{spending.section} needs the package {error.name}"
            raise StageError(f"{needed}: pip install 'mentor[openai]'") from error
        self._failed = RequestFailed
        key = api_key(api_key_env, spending.section)
        self._spending = spending
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        with ExitStack() as opened:
            self._store = opened.enter_context(RequestStore(folder, spending.count, redactor(key), report))
            self._thread.start()
            opened.callback(self._end_loop)

            async def make() -> Endpoint:
                return Endpoint(self._store, spending, section=spending.section, api_key=key, **settings)

            self._endpoint = self._run([make()])[0]
            opened.callback(lambda: self._run([self._endpoint.__aexit__()]))
            self._opened = opened.pop_all()

    def ask_all(self, conversations: Sequence[Conversation]) -> list[Record | Unanswered]:
        """Return the answer to each conversation, asked for at once as far as the endpoint's concurrency goes.

        Raises StageError where nothing more may be asked, and where other requests would fail as well.
        """
        return self._run([self._ask(self._endpoint.complete(conversation, [], 0)) for conversation in conversations])

    def score_all(
        self, prompts: Sequence[tuple[Sequence[int], Sequence[int]]], listed: int
    ) -> list[Record | Unanswered]:
        """Return the logprobs of each prompt, (token ids, places), as `Endpoint.score`. Raises as `ask_all`."""
        return self._run([self._ask(self._endpoint.score(ids, places, listed)) for ids, places in prompts])

    def detokenize(self, token_ids: Sequence[int]) -> str:
        """Return the endpoint's text of tokens. Raises StageError where it makes none."""
        return self._run([self._endpoint.detokenize(token_ids)])[0]

    async def _ask(self, request: Coroutine[Any, Any, Record]) -> Record | Unanswered:
        try:
            return await request
        except self._failed as failure:
            return Unanswered(failure.reason, failure.detail)
        except NoMoreRequests as why:
            raise StageError(
                f"{why}; all answers are stored: the same command with a higher cap resumes and reuses them"
            ) from None

    def counts(self) -> dict[str, Any]:
        """Return counts for a summary: stored answers, replayed ones, faults by kind, tokens, cost."""
        store = self._store
        requests = {"answers": len(store), "replayed": store.replayed, "faults": dict(store.faults.most_common())}
        return {**requests, **self._spending.counts()}

    def _run(self, work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        futures = [asyncio.run_coroutine_threadsafe(entry, self._loop) for entry in work]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def close(self) -> None:
        self._opened.close()
