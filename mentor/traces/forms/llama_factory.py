"""LLaMA-Factory: ShareGPT with the roles `function_call` (a call as JSON, or a list of them) and `observation`.

`system` and `tools` (JSON text) are columns.
"""

from __future__ import annotations

from mentor.rows import Row
from mentor.traces.forms import share_gpt
from mentor.traces.forms.form import TraceForm, entries_of, roles_of


def fits(row: Row) -> bool:
    return share_gpt.fits(row) and bool(
        roles_of(entries_of(row, *share_gpt.COLUMNS)) & {"function_call", "observation"}
    )


FORM = TraceForm("llama_factory", fits, share_gpt.read)
