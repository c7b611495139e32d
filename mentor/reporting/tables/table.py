"""Tables of the report and the format of their cells, the same for Markdown and HTML.

Shares are shown in percent with one decimal; what a stage did not write is shown as `MISSING`.
"""

from __future__ import annotations

from dataclasses import dataclass

from mentor.reporting.read.records import EvalResult

MISSING = "–"
SIGNS = {"better": "▲", "worse": "▼", "better here": "△", "worse here": "▽"}
SIGNS_MEAN = (
    "▲ better and ▼ worse over seeds: other seeds and questions would most likely show it too. △ better and ▽ worse in "
    "these models only: other questions would show it, other seeds may not."
)
DOMAINS = {"id": "In domain", "ood": "Out of domain", "unknown": "Domain unknown"}
MODES = ("sampled", "greedy")


@dataclass(frozen=True)
class Cell:
    """`evaluations`: the evaluation folders a number was read from, whose origins the page shows on request.
    `stage`: the folder whose provenance the text links to. `note`: said below the text, smaller. `conclusion`:
    the conclusion of a `Pair`, for the page's colours. Empty where there is nothing of the kind."""

    text: str
    evaluations: tuple[str, ...] = ()
    stage: str = ""
    note: str = ""
    conclusion: str = ""


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
    """Make cells of text alone, without links."""
    return [Cell(text) for text in texts]


def percent(share: float | None) -> str:
    """Format a share in percent with one decimal."""
    return MISSING if share is None else f"{100 * share:.1f}"


def number(value: float | int | None, decimals: int = 0) -> str:
    """Format a number with thousands separators."""
    return MISSING if value is None else f"{value:,.{decimals}f}"


def interval(result: EvalResult) -> str:
    """Format the 95 % interval of an accuracy in percent."""
    if result.low is None or result.high is None:
        return MISSING
    return f"[{percent(result.low)}, {percent(result.high)}]"


def model_label(result: EvalResult) -> str:
    """Label a model; a base is marked."""
    return f"{result.model} (base)" if result.is_base else result.model
