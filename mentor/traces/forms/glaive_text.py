"""Glaive: a conversation as one text, `USER: ... ASSISTANT: <functioncall> {...} <|endoftext|> FUNCTION RESPONSE: ...`.

`{"system": "SYSTEM: You ... functions ... {<schema>} {<schema>}", "chat": "USER: ..."}`, or all of it under `sample`.
"""

from __future__ import annotations

import re
from typing import Any

from mentor.rows import Row
from mentor.traces.forms.form import TraceForm, read_conversation
from mentor.traces.trace import Trace, TraceError

COLUMNS = ("chat", "sample")
ROLES = {"SYSTEM": "system", "USER": "user", "ASSISTANT": "assistant", "FUNCTION RESPONSE": "tool"}
_SPEAKER = re.compile(rf"(?:\A|\n)[ \t]*({'|'.join(ROLES)}):[ \t]*")
_END = re.compile(r"\s*<\|endoftext\|>\s*")


def fits(row: Row) -> bool:
    return any(isinstance(row.get(column), str) and _SPEAKER.search(row[column]) for column in COLUMNS)


def read(row: Row) -> Trace:
    text = next((row[column] for column in COLUMNS if isinstance(row.get(column), str)), None)
    if text is None:
        raise TraceError("unreadable", "no text under `chat` or `sample`")
    entries = _entries(text)
    beside = row.get("system")
    if isinstance(beside, str) and not any(entry["role"] == "system" for entry in entries):
        row = {**row, "system": beside.strip().removeprefix("SYSTEM:").strip()}
    return read_conversation(row, entries)


def _entries(text: str) -> list[dict[str, Any]]:
    """The messages of a text; what stands before the first speaker is none."""
    begins = list(_SPEAKER.finditer(text))
    if not begins or text[: begins[0].start()].strip():
        raise TraceError(
            "unreadable", f"the text does not begin with a speaker, accepted: {', '.join(ROLES)}, each with `:`"
        )
    ends = [*(begin.start() for begin in begins[1:]), len(text)]
    said = [(ROLES[begin[1]], text[begin.end() : end]) for begin, end in zip(begins, ends, strict=True)]
    return [{"role": role, "content": _END.sub(" ", words).strip()} for role, words in said]


FORM = TraceForm("glaive", fits, read)
