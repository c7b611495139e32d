"""ms-swift: `messages` with the roles `tool_call` (one call as JSON) and `tool_response`, and `tools` as JSON text.

Also its older rows `{"system", "history": [[query, response], ...], "query", "response"}`.
"""

from __future__ import annotations

from typing import Any

from mentor.rows import Row
from mentor.traces.forms.form import TraceForm, entries_of, read_conversation, roles_of
from mentor.traces.trace import Trace


def fits(row: Row) -> bool:
    return bool(roles_of(entries_of(row, "messages")) & {"tool_call", "tool_response"}) or _is_query(row)


def read(row: Row) -> Trace:
    return read_conversation(row, _entries(row) if _is_query(row) else row.get("messages"))


def _is_query(row: Row) -> bool:
    return "messages" not in row and isinstance(row.get("query"), str) and isinstance(row.get("response"), str)


def _entries(row: Row) -> list[dict[str, Any]]:
    history = row.get("history") or []
    pairs = [*history, [row["query"], row["response"]]] if isinstance(history, list) else [history]
    return [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(("user", "assistant"), pair if isinstance(pair, list) else [pair], strict=False)
    ]


FORM = TraceForm("ms_swift", fits, read)
