"""The forms of traces, one module each: whether a row has the form, and how it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mentor.errors import InputError
from mentor.rows import Row
from mentor.traces.forms import (
    glaive_text,
    hermes_text,
    llama_factory,
    ms_swift,
    openai_messages,
    share_gpt,
    tau_bench,
    tool_ace,
)
from mentor.traces.forms.form import TraceForm

FORMS: dict[str, TraceForm] = {
    form.name: form
    for form in (
        tau_bench.FORM,
        glaive_text.FORM,
        tool_ace.FORM,
        ms_swift.FORM,
        hermes_text.FORM,
        llama_factory.FORM,
        share_gpt.FORM,
        openai_messages.FORM,
    )
}
"""By name; one that is more special stands before one that would fit its rows too."""

SAMPLE = 200  # rows of a file whose shape decides on its form


def detect(rows: Sequence[Row]) -> TraceForm | None:
    """Return the first form that a row of the sample has, None where no row has any."""
    return next((form for form in FORMS.values() if any(form.fits(row) for row in rows[:SAMPLE])), None)


def count_forms(rows: Sequence[Row]) -> Counter[str]:
    """Count the rows by the first form that fits each; rows that none fits are not counted."""
    fitting = (next((form.name for form in FORMS.values() if form.fits(row)), None) for row in rows)
    return Counter(name for name in fitting if name is not None)


def find_form(name: str, rows: Sequence[Row], where: str) -> TraceForm:
    """Return the form of this name, for `auto` the rows' own. Raises InputError naming `where` and the columns."""
    form = detect(rows) if name == "auto" else FORMS[name]
    if form is None:
        columns = ", ".join(map(repr, rows[0])) if rows else "none"
        raise InputError(
            f"{where}: no row holds a conversation, given the columns {columns}; accepted: `messages`, "
            f"`conversations`, `traj`, or `system` and `chat` (task.form= names one of {', '.join(FORMS)})"
        )
    return form
