"""Tables of each method's tool use beside the teacher's, with every number that the evaluations hold."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from mentor.reporting.read.methods import method_of, trained_folders
from mentor.reporting.read.order import distinct, settings
from mentor.reporting.read.records import EvalResult, Report
from mentor.reporting.tables.table import MISSING, Cell, Table, number

MEANINGS = {
    "tool_similarity": "1 − Jensen-Shannon divergence of the two mixes of tools; 1 is the same mix",
    "bag_f1": "F1 over the calls by name, repeats counted",
    "set_f1": "F1 over the tools used at all",
    "edit_distance": "edits to the teacher's order of calls, over the longer side; 0 is the same sequence",
    "argument_agreement": "of the calls shared by name, the share with the teacher's arguments too",
    "never_diverges": "share of answers with the teacher's calls in its order, all run",
    "first_divergent_turn": "mean turn in which the others first depart from that order",
    "teacher_calls_per_answer": "the teacher's calls for the same answers",
    "answers_with_calls": "share of answers that attempted a call",
    "calls_per_correct": "calls over right answers",
    "tokens_per_correct": "sampled tokens over right answers, of the graded ones",
    "invalid_malformed": "share of calls that are not readable",
    "invalid_unknown_tool": "share of calls of a tool there is not",
    "invalid_arguments": "share of calls whose arguments do not fit",
    "failed_calls": "share of well-formed calls whose tool failed",
}


def tool_use_tables(report: Report) -> list[Table]:
    """Build a table of methods x tool-use numbers, per benchmark split and setting that has any."""
    shown = settings(report.results)
    trained = trained_folders(report)
    tables: list[Table] = []
    for setting in shown:
        rows = [result for result in report.results if result.setting == setting and result.tool_use]
        columns = distinct((r.benchmark, r.split, r.domain) for r in rows)
        for benchmark, split, domain in sorted(columns, key=lambda column: column[2] != "id"):
            chosen = [r for r in rows if (r.benchmark, r.split) == (benchmark, split)]
            title = f"{benchmark}/{split} ({domain.upper()}): tool use beside the teacher's, {setting}"
            tables.append(_table(title, chosen, trained, main=setting == shown[0] and not tables))
    return tables


def _table(title: str, results: Sequence[EvalResult], trained: set[str], main: bool) -> Table:
    names = distinct(name for result in results for name in result.tool_use)
    methods: dict[str, list[EvalResult]] = {}
    for result in results:
        methods.setdefault(method_of(result.model, trained), []).append(result)
    said = [f"{name}: {MEANINGS[name]}" for name in names if name in MEANINGS]
    return Table(
        title=title,
        caption="Means over training seeds. " + "; ".join(said) + ("." if said else ""),
        columns=["method", *names],
        rows=[[Cell(method), *(_mean(rows, name) for name in names)] for method, rows in methods.items()],
        main=main,
    )


def _mean(results: Sequence[EvalResult], name: str) -> Cell:
    known = [value for result in results if (value := result.tool_use.get(name)) is not None]
    if not known:
        return Cell(MISSING)
    mean = fmean(known)
    return Cell(number(mean, 3 if abs(mean) < 10 else 1), evaluations=tuple(result.folder for result in results))
