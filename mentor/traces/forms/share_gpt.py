"""ShareGPT: `{"conversations": [{"from": "human", "value": ...}, {"from": "gpt", "value": ...}, ...]}`."""

from __future__ import annotations

from mentor.rows import Row
from mentor.traces.forms.form import TraceForm, entries_of, read_conversation
from mentor.traces.trace import Trace

COLUMNS = ("conversations", "conversation")


def fits(row: Row) -> bool:
    return any("from" in entry for entry in entries_of(row, *COLUMNS)) or row.get("conversations") == []


def read(row: Row) -> Trace:
    column = next((name for name in COLUMNS if name in row), COLUMNS[0])
    return read_conversation(row, row.get(column))


FORM = TraceForm("sharegpt", fits, read)
