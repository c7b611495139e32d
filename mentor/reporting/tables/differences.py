"""Which differences between methods are significant: the paired tests as a matrix, a listing and in full."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from mentor.evaluation.hierarchical import ALPHA
from mentor.reporting.read.methods import (
    BETTER,
    BETTER_HERE,
    NOT_SIGNIFICANT,
    OPPOSITE,
    WORSE,
    WORSE_HERE,
    configuration_of,
)
from mentor.reporting.read.order import DOMAINS, distinct, settings
from mentor.reporting.read.records import Pair, Report
from mentor.reporting.tables.table import MISSING, SIGNS, SIGNS_MEAN, Cell, Table, number, plain


def difference_tables(report: Report) -> list[Table]:
    """Build per setting, configuration and domain a matrix of conclusions and a listing; last, every test."""
    shown = settings(report.results)
    configurations = distinct(configuration_of(p.first) for p in report.pairs)
    tables: list[Table] = []
    for setting, configuration, domain in product(shown, configurations, DOMAINS):
        chosen = [p for p in report.pairs if (p.domain, p.setting) == (domain, setting)]
        chosen = [p for p in chosen if configuration_of(p.first) == configuration]
        if chosen:
            main = setting == shown[0]
            label = f"{DOMAINS[domain]}, {setting}" + (f", {configuration}" if configuration else "")
            if len({(p.first, p.second) for p in chosen}) > 1:
                tables.append(_matrix(label, chosen, main))
            tables.append(_listing(label, chosen, main))
    return [*tables, _full_table(report)] if tables else []


def intro() -> str:
    """Describe the tests, for the text before the tables."""
    return (
        "Two methods are compared question by question, and seed by seed where both have the same seeds. With several "
        "seeds an interval and its p value are about other seeds and other questions; with one, about these models on "
        "other questions. A sign stands where p stays below "
        f"{ALPHA:g} after Holm's adjustment for all comparisons of its table. {SIGNS_MEAN} Not significant does not "
        "mean equal: the interval says how large a difference the data leave open."
    )


def _matrix(label: str, pairs: Sequence[Pair], main: bool) -> Table:
    names = distinct(name for pair in pairs for name in (pair.second, pair.first))
    found: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        found.setdefault((pair.first, pair.second), []).append(pair.conclusion)
        found.setdefault((pair.second, pair.first), []).append(OPPOSITE.get(pair.conclusion, pair.conclusion))
    return Table(
        title=f"{label}: who is better than whom",
        caption="On how many benchmarks the method of the row is better or worse than that of the column. "
        f"{SIGNS_MEAN} On the rest the difference is not significant.",
        columns=["method", *names],
        rows=[[Cell(row), *(_count_cell(found.get((row, column), [])) for column in names)] for row in names],
        main=main,
    )


def _count_cell(conclusions: Sequence[str]) -> Cell:
    """`5 ▲ 1 ▼ of 8`."""
    if not conclusions:
        return Cell(MISSING)
    said = [f"{conclusions.count(word)} {SIGNS[word]}" for word in SIGNS if word in conclusions]
    better, worse = (sum(word.startswith(which) for word in conclusions) for which in (BETTER, WORSE))
    mostly = NOT_SIGNIFICANT if better == worse else BETTER if better > worse else WORSE
    return Cell(f"{' '.join(said) or 0} of {len(conclusions)}", conclusion=mostly)


def _listing(label: str, pairs: Sequence[Pair], main: bool) -> Table:
    columns = distinct((p.benchmark, p.split) for p in pairs)
    cells = {(p.first, p.second, p.benchmark, p.split): p for p in pairs}
    rows = []
    for first, second in distinct((p.first, p.second) for p in pairs):
        found = [cells.get((first, second, *column)) for column in columns]
        rows.append([Cell(f"{first} − {second}"), *(Cell(MISSING) if p is None else _difference(p) for p in found)])
    counts = sorted({pair.n for pair in pairs})
    tasks = number(counts[0]) if len(counts) == 1 else f"{number(counts[0])} to {number(counts[-1])}"
    over_seeds = sum(pair.conclusion in (BETTER, WORSE) for pair in pairs)
    here = sum(pair.conclusion in (BETTER_HERE, WORSE_HERE) for pair in pairs)
    return Table(
        title=f"{label}: differences in points",
        caption=f"Difference of the accuracies in points [95 % interval] and p, each of the comparison alone; "
        f"n = {tasks} tasks a column. After adjustment for all {len(pairs)}, {over_seeds} are significant over seeds "
        f"(▲ ▼) and {here} in these models only (△ ▽).",
        columns=["difference", *(f"{benchmark}/{split}" for benchmark, split in columns)],
        rows=rows,
        main=main,
    )


def _difference(pair: Pair) -> Cell:
    text = f"{points(pair.difference)} {interval_text(pair)} {SIGNS.get(pair.conclusion, '')}".rstrip()
    return Cell(text, evaluations=tuple(pair.folders), note=f"p {p_text(pair.p)}", conclusion=pair.conclusion)


def points(share: float) -> str:
    """Format a difference of shares in points, with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def interval_text(pair: Pair) -> str:
    """Format the 95 % interval of a difference in points."""
    return f"[{points(pair.low)}, {points(pair.high)}]"


def adjusted_interval_text(pair: Pair) -> str:
    """Format the interval that is adjusted as `p_holm` is."""
    return f"[{points(pair.low_holm)}, {points(pair.high_holm)}]"


def p_text(p: float) -> str:
    """Format a p value: two decimals from 0.1 on, four below."""
    return f"{p:.2f}" if p >= 0.1 else f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def _full_table(report: Report) -> Table:
    return Table(
        title="Every paired test",
        caption=f"{intro()} 95 % interval and p: of the comparison alone. Adjusted interval and p: by Holm's method "
        "over all rows of one domain and setting; the interval leaves out 0 exactly where the adjusted p is below "
        f"{ALPHA:g}. Adjusted p here: about these models alone. Seeds: of the first and of the second.",
        columns=[
            "first",
            "second",
            "benchmark/split",
            "setting",
            "n",
            "seeds",
            "difference",
            "every seed",
            "95 % interval",
            "p",
            "adjusted interval",
            "adjusted p",
            "adjusted p here",
            "the first is",
        ],
        rows=[_full_row(pair) for pair in report.pairs],
        text_columns=(0, 1, 2, 3, 13),
        main=False,
    )


def _full_row(pair: Pair) -> list[Cell]:
    return [
        *plain(pair.first, pair.second, f"{pair.benchmark}/{pair.split} ({pair.domain.upper()})", pair.setting),
        *plain(number(pair.n), f"{pair.seeds[0]}, {pair.seeds[1]}", points(pair.difference)),
        *plain(", ".join(map(points, pair.by_seed)), interval_text(pair)),
        *plain(p_text(pair.p), adjusted_interval_text(pair), p_text(pair.p_holm), p_text(pair.p_here_holm)),
        Cell(pair.conclusion, conclusion=pair.conclusion),
    ]
