"""Tables of the evaluations: methods by benchmarks, every number of every model, calls per tool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mentor.reporting.read.calls_per_tool import CallsPerTool, calls_per_tool
from mentor.reporting.read.order import DOMAINS, distinct, settings
from mentor.reporting.read.records import EvalResult, MethodResult, Report
from mentor.reporting.tables.table import (
    MISSING,
    SIGNS,
    SIGNS_MEAN,
    Cell,
    Table,
    interval,
    model_label,
    number,
    percent,
    plain,
)


def accuracy_tables(report: Report) -> list[Table]:
    """Build one table of methods x benchmarks per domain and setting; the first setting of the run is the main one."""
    shown = settings(report.results)
    return [
        _accuracy_table(domain, setting, chosen, main=setting == shown[0])
        for setting in shown
        for domain in DOMAINS
        if (chosen := [m for m in report.methods if (m.domain, m.setting) == (domain, setting)])
    ]


def _accuracy_table(domain: str, setting: str, methods: Sequence[MethodResult], main: bool) -> Table:
    columns = distinct((m.benchmark, m.split) for m in methods)
    cells = {(m.method, m.benchmark, m.split): m for m in methods}
    rows = []
    for name in distinct(m.method for m in methods):
        of_method = [m for m in methods if m.method == name]
        found = [cells.get((name, *column)) for column in columns]
        rows.append([Cell(method_label(of_method)), *(Cell(MISSING) if m is None else _accuracy(m) for m in found)])
    return Table(
        title=f"{DOMAINS[domain]}: accuracy, {setting} (%)",
        caption=f"Percent correct [95 % interval], n = {task_counts(methods)} tasks a column. With several training "
        "seeds it is their mean, the interval is over seeds and questions, and below it stands every seed; with one it "
        f"is over questions. Against the base, by the paired tests below: {SIGNS_MEAN} No sign: not significant, or no "
        "base to compare with.",
        columns=["method", *(f"{benchmark}/{split}" for benchmark, split in columns)],
        rows=rows,
        main=main,
    )


def _accuracy(result: MethodResult) -> Cell:
    text = f"{percent(result.accuracy)} [{percent(result.low)}, {percent(result.high)}]"
    sign = SIGNS.get(result.against_base or "", "")
    return Cell(
        f"{text} {sign}".rstrip(),
        evaluations=tuple(result.folders),
        note=", ".join(map(percent, result.by_seed)) if len(result.by_seed) > 1 else "",
        conclusion=result.against_base or "",
    )


def method_label(results: Sequence[MethodResult]) -> str:
    """Label a method: `rl-flexible (3 seeds)`, `pretrain (base)`."""
    most = max(len(result.models) for result in results)
    said = ["base"] * (results[0].base == results[0].method) + [f"{most} seeds"] * (most > 1)
    return f"{results[0].method} ({', '.join(said)})" if said else results[0].method


def task_counts(results: Iterable[EvalResult | MethodResult]) -> str:
    """Format the number of tasks: `256`, or `200 to 700` where splits differ."""
    counts = sorted({result.n for result in results})
    return number(counts[0]) if len(counts) == 1 else f"{number(counts[0])} to {number(counts[-1])}"


def domain_label(result: EvalResult) -> str:
    """Label the domain: `ID for gsm8k`, `OOD`, `UNKNOWN`, with the data set it refers to where that is known."""
    return result.domain.upper() + (f" for {result.domain_of}" if result.domain_of else "")


def detail_table(report: Report) -> Table:
    """Build the table of every evaluated model x split x setting with its tool use."""
    scores = distinct(name for result in report.results for name in result.scores)
    tries = sorted({count for result in report.results for count in result.pass_at}, key=int)
    extra = [*(f"pass@{count} %" for count in tries), *(f"{name} %" for name in scores)]
    return Table(
        title="All results",
        caption="One row per model, so per training seed. n: tasks. Valid calls: share of calls of a known tool with "
        "arguments that fit it. Calls: per answer. Tool similarity: 1 − Jensen-Shannon divergence between the tools "
        "used here and the teacher's. Ungraded: answers without a conclusion, left out of the accuracy. Ended by: "
        "trajectories per stop reason." + (" pass@k: tasks solved by at least one of k answers." if tries else ""),
        columns=[
            "model",
            "benchmark/split",
            "mode",
            "n",
            "accuracy %",
            "95 % interval",
            *extra,
            "valid calls %",
            "calls",
            "tool similarity",
            "ungraded",
            "ended by",
        ],
        rows=[_detail_row(result, tries, scores) for result in report.results],
        text_columns=(0, 1, 2, 10 + len(extra)),
        main=False,
    )


def _detail_row(result: EvalResult, tries: Sequence[str], scores: Sequence[str]) -> list[Cell]:
    numbers = [
        number(result.n),
        percent(result.accuracy),
        interval(result),
        *(percent(result.pass_at.get(count)) for count in tries),
        *(percent(result.scores.get(name)) for name in scores),
        percent(result.valid_call_rate),
        number(result.calls_per_answer, 2),
        number(result.tool_similarity, 3),
        number(result.ungraded),
    ]
    stops = ", ".join(f"{reason} {count:g}" for reason, count in result.stop_reasons.items()) or MISSING
    where = f"{result.benchmark}/{result.split} ({domain_label(result)})"
    return [
        *plain(model_label(result), where, result.setting),
        *(Cell(text, evaluations=() if text == MISSING else (result.folder,)) for text in numbers),
        Cell(stops),
    ]


def tool_tables(report: Report) -> list[Table]:
    """Build the tables of calls per tool of teacher and students, one per benchmark and mode."""
    return [_tool_table(use) for use in calls_per_tool(report)]


def _tool_table(use: CallsPerTool) -> Table:
    sums = [sum(use.teacher.values()), *(sum(counts.values()) for counts in use.students.values())]
    rows = [plain(tool, number(teacher), *map(number, students)) for tool, teacher, students in use.rows()]
    return Table(
        title=f"{use.benchmark}: calls per tool, {use.label}",
        caption="All splits together, over the answers to tasks whose teacher is known: the student's calls that ran, "
        "and the teacher's calls on the same tasks, as often as they were answered; means over training seeds.",
        columns=["tool", "teacher", *use.students],
        rows=[*rows, plain("all", *map(number, sums))],
        folders=use.folders,
        main=use.main,
    )
