"""Calls per tool of the students beside the teacher's, summed over the splits of a benchmark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mentor.reporting.records import Report
from mentor.reporting.tables import MODES, distinct

MAX_TOOLS = 20  # named one by one; the rest are summed


@dataclass(frozen=True)
class ToolUse:
    """Students that are compared with the same calls of the teacher; counts are by tool name.

    `teacher` counts the teacher's calls once per answer of a student, as `students` do: the same tasks, as often.
    """

    benchmark: str
    mode: str
    teacher: dict[str, int]
    students: dict[str, dict[str, int]]
    folders: tuple[str, ...]
    main: bool  # of the first mode that the benchmark has
    alone: bool  # every student of this benchmark and mode is in it

    @property
    def label(self) -> str:
        return self.mode if self.alone else f"{self.mode} ({', '.join(self.students)})"

    def rows(self) -> list[tuple[str, int, list[int]]]:
        """(tool, the teacher's calls, each student's), most used first; those past MAX_TOOLS are in one last row."""
        students = list(self.students.values())
        totals: Counter[str] = Counter()
        for counts in (self.teacher, *students):
            totals.update(counts)
        names = sorted(totals, key=lambda name: (-totals[name], name))
        members = {name: [name] for name in names[:MAX_TOOLS]}
        if rest := names[MAX_TOOLS:]:
            members[f"{len(rest)} other tools"] = rest
        return [
            (label, _sum(self.teacher, tools), [_sum(counts, tools) for counts in students])
            for label, tools in members.items()
        ]


def _sum(counts: Mapping[str, int], names: Sequence[str]) -> int:
    return sum(counts.get(name, 0) for name in names)


def tool_use(report: Report) -> list[ToolUse]:
    """One per benchmark and mode, and more where students were not compared with the same calls."""
    found: list[ToolUse] = []
    for benchmark in distinct(result.benchmark for result in report.results):
        first: str | None = None
        for mode in MODES:
            groups = _by_teacher(report, benchmark, mode)
            for teacher, models in groups:
                first = first or mode
                folders = distinct(r.folder for r in report.results if r.benchmark == benchmark and r.model in models)
                found.append(ToolUse(benchmark, mode, teacher, models, tuple(folders), mode == first, len(groups) == 1))
    return found


def _by_teacher(report: Report, benchmark: str, mode: str) -> list[tuple[dict[str, int], dict[str, dict[str, int]]]]:
    """(the teacher's counts, the counts of the models it was compared with), for every different teacher."""
    students: dict[str, Counter[str]] = {}
    teachers: dict[str, Counter[str]] = {}
    for result in report.results:
        if (result.benchmark, result.mode) == (benchmark, mode) and result.tools is not None:
            students.setdefault(result.model, Counter()).update(result.tools.student)
            teachers.setdefault(result.model, Counter()).update(result.tools.teacher)
    groups: list[tuple[dict[str, int], dict[str, dict[str, int]]]] = []
    for model, teacher in teachers.items():
        group = next((models for counts, models in groups if counts == teacher), None)
        if group is None:
            groups.append((dict(teacher), group := {}))
        group[model] = dict(students[model])
    return [(teacher, models) for teacher, models in groups if sum(teacher.values())]
