"""A small corpus, and calls of a toolset one after the other."""

import asyncio
import json
from pathlib import Path

from mentor.tools import ToolExecutor, Toolset

PASSAGES = [
    {"title": "Citibank", "text": "Citibank was founded in 1812 as the City Bank of New York."},
    {"title": "Madison", "contents": "James Madison was president from 1809 to 1817."},
    {"title": "", "text": "Founders of banks."},
]


def call_all(toolset: Toolset, *calls, **limits):
    """Results of (name, arguments, session) calls, made one after the other; sessions named in `calls` stay open."""

    async def run():
        async with ToolExecutor(toolset, **limits) as executor:
            return [await executor.call(name, arguments, session) for name, arguments, session in calls]

    return asyncio.run(run())


def write_corpus(folder: Path) -> Path:
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PASSAGES))
    return path
