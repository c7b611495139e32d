"""What was seen, in words made from the paired tests by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from mentor.reporting.read.methods import BETTER, BETTER_HERE, NOT_SIGNIFICANT, WORSE, WORSE_HERE
from mentor.reporting.read.order import DOMAINS, distinct, settings
from mentor.reporting.read.records import Pair, Report
from mentor.reporting.tables.results import accuracy_tables


def findings(pairs: Sequence[Pair], label: Callable[[str], str] = str) -> str:
    """Say which methods differ over seeds, which in these models only, and how many comparisons showed nothing."""
    clauses = [
        (_ranking(pairs, (BETTER, WORSE), label), "Over seeds, {}."),
        (_ranking(pairs, (BETTER_HERE, WORSE_HERE), label), "In these models, {}; other seeds may differ."),
    ]
    said = [form.format(clause) for clause, form in clauses if clause]
    rest = sum(pair.conclusion == NOT_SIGNIFICANT for pair in pairs)
    if not said:
        return "No difference between any two of them was seen."
    return " ".join(said + ([f"In {rest} of {len(pairs)} comparisons no difference was seen."] if rest else []))


def _ranking(pairs: Sequence[Pair], conclusions: tuple[str, str], label: Callable[[str], str]) -> str:
    """`a is better than b and c; b is better than c`: those that are better than most are named first."""
    better = [
        (pair.first, pair.second) if pair.conclusion == conclusions[0] else (pair.second, pair.first)
        for pair in pairs
        if pair.conclusion in conclusions
    ]
    return "; ".join(
        f"{label(first)} is better than {listed([label(worse) for one, worse in better if one == first])}"
        for first, _ in Counter(first for first, _ in better).most_common()
    )


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
    return f"{column[0]}/{column[1]}, {own[0].setting}: {findings(own)}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad the columns, the first to the right and the others to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
