"""Which differences between methods are significant: the paired tests as a matrix, a listing and in full."""

from __future__ import annotations

from collections.abc import Sequence

from mentor.reporting.read.methods import ALPHA, NOT_SIGNIFICANT
from mentor.reporting.read.order import DOMAINS, distinct, settings
from mentor.reporting.read.records import Pair, Report
from mentor.reporting.tables.table import MISSING, SIGNS, Cell, Table, number, plain


def difference_tables(report: Report) -> list[Table]:
    """Build per domain and setting a matrix of conclusions and a listing of differences; last, every test."""
    shown = settings(report.results)
    tables: list[Table] = []
    for setting in shown:
        for domain in DOMAINS:
            if chosen := [p for p in report.pairs if (p.domain, p.setting) == (domain, setting)]:
                main = setting == shown[0]
                label = f"{DOMAINS[domain]}, {setting}"
                if len({(p.first, p.second) for p in chosen}) > 1:
                    tables.append(_matrix(label, chosen, main))
                tables.append(_listing(label, chosen, main))
    return [*tables, _full_table(report)] if tables else []


def intro(report: Report) -> str:
    """Describe the tests, for the text before the tables."""
    return (
        "Two methods are compared task by task: the difference of their shares of correct answers, each a mean over "
        "the task's samples and the method's training seeds. Tasks are resampled, so a result is about these "
        "checkpoints on tasks like these. Interval: 95 % paired percentile bootstrap; p: paired randomisation test "
        f"(random signs); both of {report.resamples:,} resamples from a fixed seed. A difference is "
        f"called significant where p stays below {ALPHA:g} after Holm's adjustment for all comparisons of its table. "
        "Not significant does not mean equal: the interval says how large a difference these tasks leave open."
    )


def _matrix(label: str, pairs: Sequence[Pair], main: bool) -> Table:
    names = distinct(name for pair in pairs for name in (pair.second, pair.first))
    rows = []
    for row in names:
        cells = []
        for column in names:
            conclusions = [p.conclusion for p in pairs if (p.first, p.second) == (row, column)]
            reversed_pairs = [p.conclusion for p in pairs if (p.second, p.first) == (row, column)]
            better = conclusions.count("better") + reversed_pairs.count("worse")
            worse = conclusions.count("worse") + reversed_pairs.count("better")
            cells.append(_count_cell(better, worse, len(conclusions + reversed_pairs)))
        rows.append([Cell(row), *cells])
    return Table(
        title=f"{label}: who is better than whom",
        caption=f"On how many benchmarks the method of the row is significantly better ({SIGNS['better']}) or worse "
        f"({SIGNS['worse']}) than that of the column; on the rest the difference is not significant.",
        columns=["method", *names],
        rows=rows,
        main=main,
    )


def _count_cell(better: int, worse: int, of: int) -> Cell:
    """`5 ▲ 1 ▼ of 8`."""
    if not of:
        return Cell(MISSING)
    said = [f"{count} {SIGNS[word]}" for word, count in (("better", better), ("worse", worse)) if count]
    mostly = NOT_SIGNIFICANT if better == worse else "better" if better > worse else "worse"
    return Cell(f"{' '.join(said) or 0} of {of}", conclusion=mostly)


def _listing(label: str, pairs: Sequence[Pair], main: bool) -> Table:
    columns = distinct((p.benchmark, p.split) for p in pairs)
    cells = {(p.first, p.second, p.benchmark, p.split): p for p in pairs}
    rows = []
    for first, second in distinct((p.first, p.second) for p in pairs):
        found = [cells.get((first, second, *column)) for column in columns]
        rows.append([Cell(f"{first} − {second}"), *(Cell(MISSING) if p is None else _difference(p) for p in found)])
    counts = sorted({pair.n for pair in pairs})
    tasks = number(counts[0]) if len(counts) == 1 else f"{number(counts[0])} to {number(counts[-1])}"
    significant = sum(pair.conclusion != NOT_SIGNIFICANT for pair in pairs)
    return Table(
        title=f"{label}: differences in points",
        caption=f"Difference of the accuracies in points [95 % interval], n = {tasks} tasks a column. "
        f"{SIGNS['better']} the first is significantly better, {SIGNS['worse']} significantly worse; no sign: not "
        f"significant. {significant} of {len(pairs)} comparisons are significant; p is adjusted for all {len(pairs)}.",
        columns=["difference", *(f"{benchmark}/{split}" for benchmark, split in columns)],
        rows=rows,
        main=main,
    )


def _difference(pair: Pair) -> Cell:
    text = f"{points(pair.difference)} {interval_text(pair)} {SIGNS.get(pair.conclusion, '')}".rstrip()
    return Cell(text, evaluations=tuple(pair.folders), note=f"p {p_text(pair.p_holm)}", conclusion=pair.conclusion)


def points(share: float) -> str:
    """Format a difference of shares in points, with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def interval_text(pair: Pair) -> str:
    """Format the 95 % interval of a difference in points."""
    return f"[{points(pair.low)}, {points(pair.high)}]"


def p_text(p: float) -> str:
    """Format a p value: two decimals from 0.1 on, four below."""
    return f"{p:.2f}" if p >= 0.1 else f"{p:.4f}"


def _full_table(report: Report) -> Table:
    return Table(
        title="Every paired test",
        caption=f"{intro(report)} p: of the comparison alone. Adjusted p: by Holm's method over all rows of one domain "
        "and setting. Seeds: of the first and of the second.",
        columns=[
            "first",
            "second",
            "benchmark/split",
            "setting",
            "n",
            "seeds",
            "difference",
            "95 % interval",
            "p",
            "adjusted p",
            "the first is",
        ],
        rows=[_full_row(pair) for pair in report.pairs],
        text_columns=(0, 1, 2, 3, 10),
        main=False,
    )


def _full_row(pair: Pair) -> list[Cell]:
    return [
        *plain(pair.first, pair.second, f"{pair.benchmark}/{pair.split} ({pair.domain.upper()})", pair.setting),
        *plain(number(pair.n), f"{pair.seeds[0]}, {pair.seeds[1]}", points(pair.difference), interval_text(pair)),
        *plain(f"{pair.p:.4f}", f"{pair.p_holm:.4f}"),
        Cell(pair.conclusion, conclusion=pair.conclusion),
    ]
