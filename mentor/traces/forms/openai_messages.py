"""OpenAI messages: rows for fine-tuning (`messages`, `tools`) and logs of agents, also with legacy `function_call`.

`{"messages": [{"role": "user", "content": ...}, {"role": "assistant", "tool_calls": [...]}, {"role": "tool",
"tool_call_id": ..., "content": ...}, ...], "tools": [...]}`
"""

from __future__ import annotations

from mentor.rows import Row
from mentor.traces.forms.form import TraceForm, entries_of, read_conversation
from mentor.traces.trace import Trace

COLUMNS = ("messages", "conversation", "conversations")


def fits(row: Row) -> bool:
    return "messages" in row or any("role" in entry for entry in entries_of(row, *COLUMNS))


def read(row: Row) -> Trace:
    column = next((name for name in COLUMNS if name in row), COLUMNS[0])
    return read_conversation(row, row.get(column))


FORM = TraceForm("openai", fits, read)
