"""Hermes: ShareGPT whose calls stand in the text between `<tool_call>` tags, results between `<tool_response>` tags.

The tools stand in the system text between `<tools>` tags, or in a column.
"""

from __future__ import annotations

from mentor.rows import Row
from mentor.traces.call_text import TAG
from mentor.traces.forms import share_gpt
from mentor.traces.forms.form import TraceForm, entries_of, texts_of

TAGS = (TAG, "<tools>", "<tool_response>")


def fits(row: Row) -> bool:
    texts = texts_of(entries_of(row, *share_gpt.COLUMNS))
    return share_gpt.fits(row) and any(tag in text for text in texts for tag in TAGS)


FORM = TraceForm("hermes", fits, share_gpt.read)
