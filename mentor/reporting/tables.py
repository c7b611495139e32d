"""Turn a `Report` into tables of formatted cells, the same for Markdown and HTML.

Shares are shown in percent with one decimal; what a stage did not write is shown as `MISSING`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mentor.reporting.collect import EvalResult, Report

MISSING = "–"
ABOVE, BELOW = "▲", "▼"
MODES = ("sampled", "greedy")


@dataclass(frozen=True)
class Table:
    """`text_columns`: places of the columns that hold text, the rest are numbers. A row is as long as `columns`."""

    title: str
    caption: str
    columns: list[str]
    rows: list[list[str]]
    text_columns: tuple[int, ...] = (0,)


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
    for benchmark in _distinct(result.benchmark for result in report.results):
        for mode in MODES:
            chosen = [r for r in report.results if r.benchmark == benchmark and r.mode == mode]
            if chosen:
                tables.append(_accuracy_table(benchmark, mode, chosen))
    return tables


def _accuracy_table(benchmark: str, mode: str, results: Sequence[EvalResult]) -> Table:
    splits = _distinct((r.split, r.domain) for r in sorted(results, key=lambda r: r.domain != "id"))
    cells = {(r.model, r.split): r for r in results}
    rows = []
    for model in _distinct(r.model for r in results):
        row = [model_label(next(r for r in results if r.model == model))]
        for split, _ in splits:
            found = cells.get((model, split))
            row.append(MISSING if found is None else accuracy_cell(found))
        rows.append(row)
    return Table(
        title=f"{benchmark}: accuracy, {mode} (%)",
        caption=f"Percent correct [95 % interval], n = {task_counts(results)} tasks a split. {ABOVE} above, {BELOW} "
        "below the base with the two intervals apart; no sign: they overlap, or there is no base to compare with.",
        columns=["model", *(f"{split} ({domain.upper()})" for split, domain in splits)],
        rows=rows,
    )


def task_counts(results: Sequence[EvalResult]) -> str:
    """`256`, or `200 to 700` where splits differ."""
    counts = [result.n for result in results]
    return number(counts[0]) if len(set(counts)) == 1 else f"{number(min(counts))} to {number(max(counts))}"


def accuracy_cell(result: EvalResult) -> str:
    return f"{percent(result.accuracy)} {interval(result)} {mark(result)}".rstrip()


def model_label(result: EvalResult) -> str:
    return f"{result.model} (base)" if result.is_base else result.model


def detail_table(report: Report) -> Table:
    """Every evaluated model x split x mode with its tool use."""
    rows = [
        [
            model_label(r),
            f"{r.benchmark}/{r.split} ({r.domain.upper()})",
            r.mode,
            apart(r),
            number(r.n),
            percent(r.accuracy),
            interval(r),
            percent(r.valid_call_rate),
            number(r.calls_per_answer, 2),
            number(r.tool_similarity, 3),
            number(r.ungraded),
            _stop_reasons(r),
        ]
        for r in report.results
    ]
    return Table(
        title="All results",
        caption="n: tasks. Valid calls: share of calls of a known tool with arguments that fit it. Calls: per answer. "
        "Tool similarity: 1 − Jensen-Shannon divergence between the tools used here and the teacher's. "
        "Ungraded: answers without a verdict, left out of the accuracy. Ended by: trajectories per stop reason.",
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
            "ended by",
        ],
        rows=rows,
        text_columns=(0, 1, 2, 3, 11),
    )


def _stop_reasons(result: EvalResult) -> str:
    return ", ".join(f"{reason} {count:g}" for reason, count in result.stop_reasons.items()) or MISSING


def cost_table(report: Report) -> Table:
    """What every stage folder spent."""
    rows = [
        [
            record.folder,
            record.status or MISSING,
            number(record.steps),
            number(record.sampled_tokens),
            number(record.trained_tokens),
            number(record.step_seconds, 1),
            number(record.seconds.get("total"), 1),
            ", ".join(f"{phase} {seconds:,.1f}" for phase, seconds in record.seconds.items() if phase != "total")
            or MISSING,
        ]
        for record in report.stages
    ]
    return Table(
        title="Cost",
        caption="Steps, tokens and step seconds are sums over all logged steps. Seconds: the process that finished the "
        "stage, on the machine that ran it; compare machines by tokens.",
        columns=[
            "stage folder",
            "status",
            "steps",
            "sampled tokens",
            "trained tokens",
            "step seconds",
            "seconds",
            "seconds per phase",
        ],
        rows=rows,
        text_columns=(0, 1, 7),
    )


def provenance_table(report: Report) -> Table:
    """Which configuration, seed and code made each folder."""
    rows = [
        [
            record.folder,
            str(record.config_hash or MISSING),
            MISSING if record.seed is None else str(record.seed),
            short_commit(record.git_commit),
            started_at(record.started),
        ]
        for record in report.stages
    ]
    return Table(
        title="Provenance",
        caption="Every folder also holds its resolved config.yaml.",
        columns=["stage folder", "config hash", "seed", "commit", "started (UTC)"],
        rows=rows,
        text_columns=(0, 1, 2, 3, 4),
    )


def short_commit(commit: str | None) -> str:
    """Twelve digits, with `-dirty` kept."""
    if commit is None:
        return MISSING
    digits, _, state = commit.partition("-")
    return f"{digits[:12]}-{state}" if state else digits[:12]


def started_at(seconds: float | None) -> str:
    return MISSING if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def versions_table(report: Report) -> Table:
    """The package versions, one row for each set of them that stages ran with."""
    folders: dict[str, list[str]] = {}
    for record in report.stages:
        listed = ", ".join(f"{package} {version}" for package, version in record.versions.items()) or MISSING
        folders.setdefault(listed, []).append(record.folder)
    everywhere = len(folders) == 1
    return Table(
        title="Versions",
        caption="Of the packages in the environment each stage ran in.",
        columns=["stage folders", "versions"],
        rows=[["all" if everywhere else ", ".join(names), listed] for listed, names in folders.items()],
        text_columns=(0, 1),
    )


def _distinct(values: Iterable[Any]) -> list[Any]:
    """The values in order of first appearance."""
    return list(dict.fromkeys(values))
