"""What a table of the report is, and how its cells are written: the same for Markdown and HTML.

Shares are shown in percent with one decimal; what a stage did not write is shown as `MISSING`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mentor.reporting.records import NO_TOOLS, EvalResult

MISSING = "–"
ABOVE, BELOW = "▲", "▼"
MODES = ("sampled", "greedy", f"sampled{NO_TOOLS}", f"greedy{NO_TOOLS}")


@dataclass(frozen=True)
class Cell:
    """`evaluation`: the evaluation folder a number was read from, whose origins the page shows on request.
    `stage`: the folder whose provenance the text links to. Empty where there is nothing of the kind."""

    text: str
    evaluation: str = ""
    stage: str = ""


@dataclass(frozen=True)
class Table:
    """`text_columns`: places of the columns that hold text, the rest are numbers. A row is as long as `columns`.

    `folders`: whose provenance the caption points to. `main`: whether it is shown without unfolding.
    """

    title: str
    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    text_columns: tuple[int, ...] = (0,)
    folders: tuple[str, ...] = ()
    main: bool = True


def plain(*texts: str) -> list[Cell]:
    """Cells that lead nowhere."""
    return [Cell(text) for text in texts]


def percent(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.1f}"


def number(value: float | int | None, decimals: int = 0) -> str:
    return MISSING if value is None else f"{value:,.{decimals}f}"


def interval(result: EvalResult) -> str:
    if result.low is None or result.high is None:
        return MISSING
    return f"[{percent(result.low)}, {percent(result.high)}]"


def mark(result: EvalResult) -> str:
    """The sign of an accuracy whose interval is apart from the base's; empty when they overlap or there is no base."""
    if not result.apart_from_base or result.low is None:
        return ""
    base_is_below = result.base_high is not None and result.low > result.base_high
    return ABOVE if base_is_below else BELOW


def model_label(result: EvalResult) -> str:
    return f"{result.model} (base)" if result.is_base else result.model


def distinct(values: Iterable[Any]) -> list[Any]:
    """The values in order of first appearance."""
    return list(dict.fromkeys(values))
