"""Items of one benchmark to its table rows: accuracy, form of the calls, and likeness to the teacher."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mentor.evaluation.lens import Answer, lens
from mentor.evaluation.statistics import tool_similarity, wilson_interval

Item = dict[str, Any]


def summarise(items: Sequence[Item], domains: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row per split and mode, in the order of `domains` (split -> id or ood)."""
    rows = []
    for split, domain in domains.items():
        for mode in ("greedy", "sampled"):
            part = [item for item in items if item["task"]["split"] == split and item["mode"] == mode]
            if part:
                rows.append({"split": split, "domain": domain, "mode": mode, **row(part)})
    return rows


def row(items: Sequence[Item]) -> dict[str, Any]:
    """Numbers of the trajectories of one split and mode.

    The interval counts tasks, not samples, so several samples of a task do not narrow it. calls_per_answer is calls
    attempted per trajectory; the similarity compares calls that ran with the teacher's, on the tasks it solved, and
    `tools` holds the counts it is made from.
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
        "ungraded": len(items) - len(graded),
        "stop_reasons": dict(Counter(item["stop_reason"] for item in items)),
        "lens": lens([Answer.from_item(item) for item in items]),
    }


def _well_formed(call: Mapping[str, Any]) -> bool:
    return call["error"] not in ("malformed", "unknown_tool", "invalid_arguments")


def _tools(items: Sequence[Item]) -> tuple[Counter[str], Counter[str]]:
    """Calls per tool name, over the answers to tasks with a reference: the student's that ran, and the teacher's."""
    known = [item for item in items if item["task"]["reference"] is not None]
    student = Counter(call["name"] for item in known for call in item["calls"] if call["ok"])
    teacher = Counter(call["name"] for item in known for call in item["task"]["reference"])
    return student, teacher
