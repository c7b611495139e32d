"""ToolACE: ShareGPT whose calls are a list in Python's form, `[Get Weather(city="Rome")]`, with the tools in `system`.

Their results stand in one message, `[{"name": "Get Weather", "results": {...}}]`.
"""

from __future__ import annotations

from mentor.rows import Row
from mentor.traces.call_text import CallTextError, python_calls
from mentor.traces.forms import share_gpt
from mentor.traces.forms.form import TraceForm, entries_of, read_conversation, texts_of
from mentor.traces.trace import Trace


def fits(row: Row) -> bool:
    if not share_gpt.fits(row) or not isinstance(row.get("system"), str):
        return False
    return any(_has_calls(text) for text in texts_of(entries_of(row, *share_gpt.COLUMNS)))


def read(row: Row) -> Trace:
    return read_conversation(row, row.get("conversations"), in_text=(python_calls,))


def _has_calls(text: str) -> bool:
    try:
        return bool(python_calls(text)[1])
    except CallTextError:
        return False


FORM = TraceForm("toolace", fits, read)
