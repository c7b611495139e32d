"""Items of one benchmark to its table rows: accuracy, valid calls, and similarity to the teacher's tool use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any

from mentor.evaluation.domains import domain
from mentor.evaluation.statistics import pass_at_k, tool_similarity, wilson_interval
from mentor.evaluation.tool_use import AnsweredCalls, tool_use

Item = dict[str, Any]


def summarise(items: Sequence[Item], splits: Mapping[str, str], trained_on: str | None = None) -> list[dict[str, Any]]:
    """Build one row per split, with and without tools, and mode, in the order of `splits` (split -> domain entry).

    trained_on: the data set that `domain` refers to, where it is known (see `domains.py`).
    """
    rows = []
    for split, with_tools, mode in product(splits, (True, False), ("greedy", "sampled")):
        key = (split, with_tools, mode)
        part = [item for item in items if (item["task"]["split"], item["with_tools"], item["mode"]) == key]
        if part:
            rows.append({"split": split, "mode": mode, "with_tools": with_tools, **row(part)})
            if mode == "sampled":
                rows[-1]["pass_at"] = pass_at(part)
    return with_domains(rows, splits, trained_on)


def with_domains(rows: Sequence[Item], splits: Mapping[str, str], trained_on: str | None) -> list[dict[str, Any]]:
    """Add to the rows the domain of their split given the data set trained on, which may be known only later."""
    return [{**entry, "domain": domain(splits[entry["split"]], trained_on), "domain_of": trained_on} for entry in rows]


def pass_at(items: Sequence[Item]) -> dict[str, float]:
    """Compute pass@k for k = 1, 2, 4, ... and the number of samples, over the tasks with at least k graded samples."""
    graded = [item for item in items if item["correct"] is not None]
    samples = Counter(item["task"]["id"] for item in graded)
    correct = Counter(item["task"]["id"] for item in graded if item["correct"])
    most = max(samples.values(), default=0)
    ks = sorted({*(2**power for power in range(most.bit_length()) if 2**power <= most), most} - {0})
    estimates = {k: [pass_at_k(n, correct[task], k) for task, n in samples.items() if n >= k] for k in ks}
    return {str(k): fmean(values) for k, values in estimates.items()}


def row(items: Sequence[Item]) -> dict[str, Any]:
    """Compute the numbers of the trajectories of one split and mode.

    The accuracy of k samples is avg@k. The interval counts tasks, not samples, so several samples of a task do not
    narrow it. calls_per_answer is calls attempted per trajectory; the similarity compares calls that ran with the
    teacher's, on the tasks it solved, and `tools` holds the counts it is made from. `scores` are the grader's own
    numbers, each the mean over the trajectories that have it; `reasons` counts the reasons it gave.
    """
    graded = [item for item in items if item["correct"] is not None]
    tasks = {item["task"]["id"] for item in graded}
    accuracy = sum(item["correct"] for item in graded) / len(graded) if graded else 0.0
    low, high = wilson_interval(accuracy * len(tasks), len(tasks))
    calls = [call for item in items for call in item["calls"]]
    student, teacher = _tools(items)
    return {
        "n": len(tasks),
        "trajectories": len(items),
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "valid_call_rate": sum(_well_formed(call) for call in calls) / len(calls) if calls else None,
        "calls_per_answer": len(calls) / len(items),
        "tool_similarity": tool_similarity(student, teacher),
        "tools": {"student": dict(student), "teacher": dict(teacher)},
        "scores": _means(items),
        "reasons": dict(Counter(reason for item in items if (reason := item.get("reason")) is not None)),
        "ungraded": len(items) - len(graded),
        "stop_reasons": dict(Counter(item["stop_reason"] for item in items)),
        "tool_use": tool_use([AnsweredCalls.from_item(item) for item in items]),
    }


def _means(items: Sequence[Item]) -> dict[str, float]:
    """Of each named score, in the order they first appear; items of earlier versions have none."""
    values: dict[str, list[float]] = {}
    for item in items:
        for name, value in item.get("scores", {}).items():
            values.setdefault(name, []).append(value)
    return {name: fmean(entry) for name, entry in values.items()}


def _well_formed(call: Mapping[str, Any]) -> bool:
    return call["error"] not in ("malformed", "unknown_tool", "invalid_arguments")


def _counts(call: Mapping[str, Any]) -> bool:
    return call["ok"] or call["error"] == "not_run"


def _tools(items: Sequence[Item]) -> tuple[Counter[str], Counter[str]]:
    """Calls per tool name, over the answers to tasks with a reference: the student's, and the teacher's.

    Of the student's those that ran, and the well-formed ones where none is run.
    """
    known = [item for item in items if item["task"]["reference"] is not None]
    student = Counter(call["name"] for item in known for call in item["calls"] if _counts(call))
    teacher = Counter(call["name"] for item in known for call in item["task"]["reference"])
    return student, teacher
