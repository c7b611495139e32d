"""Calls per tool of the methods beside the teacher's, summed over the splits of a benchmark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mentor.reporting.read.methods import method_of, trained_folders
from mentor.reporting.read.order import MODES, distinct
from mentor.reporting.read.records import Report

MAX_TOOLS = 20  # named one by one; the rest are summed


@dataclass(frozen=True)
class CallsPerTool:
    """Methods that are compared with the same calls of the teacher; counts are by tool name.

    `teacher` counts the teacher's calls once per answer of a student, as `students` do: the same tasks, as often. Both
    are means over the training seeds of a method.
    """

    benchmark: str
    mode: str
    teacher: dict[str, float]
    students: dict[str, dict[str, float]]
    folders: tuple[str, ...]
    main: bool  # of the first mode that the benchmark has
    alone: bool  # every student of this benchmark and mode is in it

    @property
    def label(self) -> str:
        return self.mode if self.alone else f"{self.mode} ({', '.join(self.students)})"

    def rows(self) -> list[tuple[str, float, list[float]]]:
        """Return (tool, teacher's calls, each student's), most used first; one last row sums tools past MAX_TOOLS."""
        students = list(self.students.values())
        totals: dict[str, float] = {}
        for counts in (self.teacher, *students):
            for tool, calls in counts.items():
                totals[tool] = totals.get(tool, 0) + calls
        names = sorted(totals, key=lambda name: (-totals[name], name))
        members = {name: [name] for name in names[:MAX_TOOLS]}
        if rest := names[MAX_TOOLS:]:
            members[f"{len(rest)} other tools"] = rest
        return [
            (label, _sum(self.teacher, tools), [_sum(counts, tools) for counts in students])
            for label, tools in members.items()
        ]


def _sum(counts: Mapping[str, float], names: Sequence[str]) -> float:
    return sum(counts.get(name, 0) for name in names)


def calls_per_tool(report: Report) -> list[CallsPerTool]:
    """Count calls per benchmark and mode; methods compared with different calls of the teacher are counted apart."""
    found: list[CallsPerTool] = []
    for benchmark in distinct(result.benchmark for result in report.results):
        first: str | None = None
        for mode in MODES:
            groups = _by_teacher(report, benchmark, mode)
            for teacher, methods in groups:
                first = first or mode
                folders = distinct(
                    folder
                    for m in report.methods
                    if m.benchmark == benchmark and m.method in methods
                    for folder in m.folders
                )
                found.append(
                    CallsPerTool(benchmark, mode, teacher, methods, tuple(folders), mode == first, len(groups) == 1)
                )
    return found


def _by_teacher(
    report: Report, benchmark: str, mode: str
) -> list[tuple[dict[str, float], dict[str, dict[str, float]]]]:
    """(the teacher's counts, the counts of the methods it was compared with), for every different teacher."""
    trained = trained_folders(report)
    students: dict[str, Counter[str]] = {}
    teachers: dict[str, Counter[str]] = {}
    seeds: dict[str, set[str]] = {}
    for result in report.results:
        if (result.benchmark, result.setting) == (benchmark, mode) and result.tools is not None:
            method = method_of(result.model, trained)
            seeds.setdefault(method, set()).add(result.model)
            students.setdefault(method, Counter()).update(result.tools.student)
            teachers.setdefault(method, Counter()).update(result.tools.teacher)
    groups: list[tuple[dict[str, float], dict[str, dict[str, float]]]] = []
    for method, counts in teachers.items():
        teacher = _mean(counts, len(seeds[method]))
        group = next((methods for other, methods in groups if other == teacher), None)
        if group is None:
            groups.append((teacher, group := {}))
        group[method] = _mean(students[method], len(seeds[method]))
    return [(teacher, methods) for teacher, methods in groups if sum(teacher.values())]


def _mean(counts: Mapping[str, int], seeds: int) -> dict[str, float]:
    return {tool: calls / seeds for tool, calls in counts.items()}
