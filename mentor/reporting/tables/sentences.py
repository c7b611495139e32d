"""What was seen, in words made from the paired tests by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mentor.reporting.read.methods import NOT_SIGNIFICANT
from mentor.reporting.read.order import DOMAINS, distinct, settings
from mentor.reporting.read.records import Pair, Report
from mentor.reporting.tables.results import accuracy_tables


def ranking(better: Sequence[tuple[str, str]], comparisons: int) -> str:
    """Say which methods are better than which, and in how many of the comparisons no difference was seen.

    better: the pairs that differ, the better one first. Those that are better than most are named first.
    """
    if not better:
        return "No difference between any two of them was seen."
    clauses = [
        f"{first} is better than {listed([worse for one, worse in better if one == first])}"
        for first, _ in Counter(first for first, _ in better).most_common()
    ]
    rest = comparisons - len(better)
    left = f" In {rest} of {comparisons} comparisons no difference was seen." if rest else ""
    return f"{'; '.join(clauses)}.{left}"


def listed(values: Sequence[object]) -> str:
    """List values as a sentence does: `a, b and c`."""
    texts = [str(value) for value in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def closing_lines(report: Report) -> list[str]:
    """Return the main accuracy tables as lines of plain text, then a sentence for each column of the first."""
    lines: list[str] = []
    for table in accuracy_tables(report):
        if table.main:
            rows = [table.columns, *([cell.text for cell in row] for row in table.rows)]
            lines += ["", table.title, *_aligned(rows)]
    setting = settings(report.results)[0]
    domain = next((d for d in DOMAINS for p in report.pairs if (p.domain, p.setting) == (d, setting)), None)
    chosen = [pair for pair in report.pairs if (pair.domain, pair.setting) == (domain, setting)]
    if chosen:
        lines += ["", *(_seen(chosen, column) for column in distinct((p.benchmark, p.split) for p in chosen))]
    return lines


def _seen(pairs: Sequence[Pair], column: tuple[str, str]) -> str:
    own = [pair for pair in pairs if (pair.benchmark, pair.split) == column]
    better = [
        (pair.first, pair.second) if pair.conclusion == "better" else (pair.second, pair.first)
        for pair in own
        if pair.conclusion != NOT_SIGNIFICANT
    ]
    seeds = " One seed ranks nothing: another may differ." if all(pair.seeds == (1, 1) for pair in own) else ""
    return f"{column[0]}/{column[1]}, {own[0].setting}: {ranking(better, len(own))}{seeds}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad the columns, the first to the right and the others to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
