"""Tables of what was evaluated: accuracy by split, every number of every result, calls per tool."""

from __future__ import annotations

from collections.abc import Sequence

from mentor.reporting.records import EvalResult, Report
from mentor.reporting.tables import (
    ABOVE,
    BELOW,
    MISSING,
    MODES,
    Cell,
    Table,
    distinct,
    interval,
    mark,
    model_label,
    number,
    percent,
    plain,
)
from mentor.reporting.tool_use import ToolUse, tool_use


def apart(result: EvalResult) -> str:
    """`yes, above`, `yes, below` or `no`; `base` for a base, `MISSING` where there is nothing to compare with."""
    if result.is_base:
        return "base"
    if result.apart_from_base is None:
        return MISSING
    return {ABOVE: "yes, above", BELOW: "yes, below", "": "no"}[mark(result)]


def accuracy_tables(report: Report) -> list[Table]:
    """One table of models x splits per benchmark and mode, in-domain splits first."""
    tables = []
    for benchmark in distinct(result.benchmark for result in report.results):
        for mode in MODES:
            chosen = [r for r in report.results if r.benchmark == benchmark and r.mode == mode]
            if chosen:
                tables.append(_accuracy_table(benchmark, mode, chosen))
    return tables


def _accuracy_table(benchmark: str, mode: str, results: Sequence[EvalResult]) -> Table:
    splits = distinct((r.split, r.domain) for r in sorted(results, key=lambda r: r.domain != "id"))
    cells = {(r.model, r.split): r for r in results}
    rows = []
    for model in distinct(r.model for r in results):
        row = plain(model_label(next(r for r in results if r.model == model)))
        for split, _ in splits:
            found = cells.get((model, split))
            row.append(Cell(MISSING) if found is None else Cell(accuracy_text(found), evaluation=found.folder))
        rows.append(row)
    return Table(
        title=f"{benchmark}: accuracy, {mode} (%)",
        caption=f"Percent correct [95 % interval], n = {task_counts(results)} tasks a split. {ABOVE} above, {BELOW} "
        "below the base with the two intervals apart; no sign: they overlap, or there is no base to compare with.",
        columns=["model", *(f"{split} ({domain.upper()})" for split, domain in splits)],
        rows=rows,
    )


def domain_label(result: EvalResult) -> str:
    """`ID for gsm8k`, `OOD`, `UNKNOWN`: with the data set it refers to, where that is known."""
    return result.domain.upper() + (f" for {result.domain_of}" if result.domain_of else "")


def task_counts(results: Sequence[EvalResult]) -> str:
    """`256`, or `200 to 700` where splits differ."""
    counts = [result.n for result in results]
    return number(counts[0]) if len(set(counts)) == 1 else f"{number(min(counts))} to {number(max(counts))}"


def accuracy_text(result: EvalResult) -> str:
    return f"{percent(result.accuracy)} {interval(result)} {mark(result)}".rstrip()


def detail_table(report: Report) -> Table:
    """Every evaluated model x split x mode with its tool use."""
    return Table(
        title="All results",
        caption="n: tasks. Valid calls: share of calls of a known tool with arguments that fit it. Calls: per answer. "
        "Tool similarity: 1 − Jensen-Shannon divergence between the tools used here and the teacher's. "
        "Ungraded: answers without a verdict, left out of the accuracy. Other scores: of the benchmark's grader, "
        "and pass@k. Ended by: trajectories per stop reason.",
        columns=[
            "model",
            "benchmark/split",
            "mode",
            "apart from base",
            "n",
            "accuracy %",
            "95 % interval",
            "valid calls %",
            "calls",
            "tool similarity",
            "ungraded",
            "other scores %",
            "ended by",
        ],
        rows=[_detail_row(result) for result in report.results],
        text_columns=(0, 1, 2, 3, 11, 12),
        main=False,
    )


def _detail_row(result: EvalResult) -> list[Cell]:
    numbers = [
        number(result.n),
        percent(result.accuracy),
        interval(result),
        percent(result.valid_call_rate),
        number(result.calls_per_answer, 2),
        number(result.tool_similarity, 3),
        number(result.ungraded),
    ]
    stops = ", ".join(f"{reason} {count:g}" for reason, count in result.stop_reasons.items()) or MISSING
    scores = ", ".join(f"{name} {percent(value)}" for name, value in result.scores.items()) or MISSING
    where = f"{result.benchmark}/{result.split} ({domain_label(result)})"
    return [
        *plain(model_label(result), where, result.mode, apart(result)),
        *(Cell(text, evaluation="" if text == MISSING else result.folder) for text in numbers),
        Cell(scores),
        Cell(stops),
    ]


def tool_tables(report: Report) -> list[Table]:
    """Calls per tool, teacher and students, one table per benchmark and mode."""
    return [_tool_table(use) for use in tool_use(report)]


def _tool_table(use: ToolUse) -> Table:
    sums = [sum(use.teacher.values()), *(sum(counts.values()) for counts in use.students.values())]
    rows = [plain(tool, number(teacher), *map(number, students)) for tool, teacher, students in use.rows()]
    return Table(
        title=f"{use.benchmark}: calls per tool, {use.label}",
        caption="All splits together, over the answers to tasks whose teacher is known: the student's calls that ran, "
        "and the teacher's calls on the same tasks, as often as they were answered.",
        columns=["tool", "teacher", *use.students],
        rows=[*rows, plain("all", *map(number, sums))],
        folders=use.folders,
        main=use.main,
    )
