"""Tools that have no source to run in a worker: they are called in this process, or over a connection from it."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Protocol

from mentor.tools.host.corpus import Corpus
from mentor.tools.outcome import Outcome
from mentor.types import CallError


class HostTools(Protocol):
    """An open set of such tools; arguments are valid already."""

    async def call(self, name: str, arguments: dict[str, Any], session: str | None) -> Outcome:
        """The result as text, or which error ended the call within its time limit."""

    async def end_session(self, session: str) -> None:
        """Forget what the calls of this id left behind."""

    async def close(self) -> None:
        """Free everything."""


class SearchTools:
    """`search` over a corpus, whose index all sessions share."""

    def __init__(self, corpus: Corpus, timeout_s: float, max_output_chars: int) -> None:
        self._corpus, self._timeout_s, self._max_output_chars = corpus, timeout_s, max_output_chars
        corpus.prepare()

    async def call(self, name: str, arguments: dict[str, Any], session: str | None) -> Outcome:
        start = perf_counter()
        try:
            answer = asyncio.to_thread(self._corpus.answer, arguments["query"], arguments.get("top_k"))
            text = await asyncio.wait_for(answer, self._timeout_s)
        except TimeoutError:
            return Outcome(CallError.TIMEOUT, f"no result within {self._timeout_s:g} s", perf_counter() - start)
        return Outcome(None, cut(text, self._max_output_chars), perf_counter() - start)

    async def end_session(self, session: str) -> None:
        """Searches leave nothing behind."""

    async def close(self) -> None:
        """The index goes with the corpus."""


def cut(text: str, limit: int) -> str:
    """As the sandbox's driver cuts a result."""
    return text if len(text) <= limit else f"{text[:limit]} ...[cut, {len(text)} characters]"
