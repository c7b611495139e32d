"""The engine of `tools=search`: searches a corpus in this process."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from mentor.tools.engine import ISOLATION, CallOutcome, Limits, ToolEngine, cut
from mentor.tools.host.corpus import Corpus
from mentor.types import CallError


class SearchEngine(ToolEngine):
    """`search` over a corpus, whose index all sessions share. Nothing has to be opened, ended or closed."""

    isolation = ISOLATION[0]  # it is this program

    def __init__(self, corpus: Corpus, limits: Limits) -> None:
        self._corpus, self._limits = corpus, limits
        corpus.prepare()

    async def open(self) -> None: ...

    async def call(self, name: str, arguments: dict[str, Any], session: str | None) -> CallOutcome:
        start, timeout_s = perf_counter(), self._limits.timeout_s
        try:
            answer = asyncio.to_thread(self._corpus.answer, arguments["query"], arguments.get("top_k"))
            text = await asyncio.wait_for(answer, timeout_s)
        except TimeoutError:
            return CallOutcome(CallError.TIMEOUT, f"no result within {timeout_s:g} s", perf_counter() - start)
        return CallOutcome(None, cut(text, self._limits.max_output_chars), perf_counter() - start)

    async def end_session(self, session: str) -> None: ...

    async def close(self) -> None: ...
