"""How far a student's calls match the teacher's: one pure function per matcher, with values in [0, 1].

The student's calls are all that it attempted, with their outcomes. Only those that ran without error can match; in the
F1 matchers (`bag_f1`, `f1`, `lcs`) the others (failed, malformed, unknown) cost precision, so that a failed attempt is
never free; in `coverage` and `results` they do once nothing is missing; the other matchers leave them out. Where the
teacher used no tool, using none matches fully and using any not at all. `results` is in `result_match.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from mentor.rewards.result_match import covered_share, same_results
from mentor.types import CallRecord, NamedCall, Task, ToolCall

Matcher = Callable[[Sequence[CallRecord], Sequence[ToolCall]], float]


def bag_f1(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> float:
    """Return F1 over counts of calls by tool name: 2 * shared / (calls attempted + teacher calls).

    Repeats and failed attempts cost precision.
    """
    return _f1(_shared(student, teacher), len(student), len(teacher))


def coverage(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> float:
    """Return the share of the teacher's calls that the student made, by tool name; the last of them by precision.

    With R calls of the teacher, shared / R where one is missing, else (R - 1 + R / calls attempted) / R. So a call
    costs nothing while one is missing, a further shared call never lowers the value, and any other never raises it.
    """
    return covered_share(_shared(student, teacher), len(teacher), len(student))


def set_f1(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> float:
    """Return F1 over the sets of tool names: 2 * shared / (names attempted + teacher names).

    All calls too malformed to have a name count as one name.
    """
    theirs = set(_names(teacher))
    return _f1(len(theirs & set(_ran(student))), len({call.name for call in student}), len(theirs))


def same_set(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> float:
    """Return 1 if both used the same set of tool names."""
    return float(set(_ran(student)) == set(_names(teacher)))


def overlap(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> float:
    """Return 1 if any tool name is shared (or neither used a tool)."""
    return float(not set(_ran(student)).isdisjoint(_names(teacher)) or not (student or teacher))


def sequence(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> float:
    """Return 1 if the tool names are the same in the same order."""
    return float(_ran(student) == _names(teacher))


def sequence_args(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> float:
    """Return 1 if names and arguments are the same in the same order; numbers by value, so 2 equals 2.0."""
    ran = [call for call in student if call.fits]
    return float(len(ran) == len(teacher) and all(map(_same_call, ran, teacher)))


def longest_common_subsequence(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> float:
    """Return 2 * (longest common subsequence of names) / (calls attempted + teacher calls)."""
    row = [0] * (len(teacher) + 1)  # row[j]: longest with the student's calls so far and the teacher's first j
    for ours in _ran(student):
        before = row
        row = [0]
        for column, theirs in enumerate(_names(teacher)):
            row.append(before[column] + 1 if ours == theirs else max(before[column + 1], row[column]))
    return _f1(row[-1], len(student), len(teacher))


MATCHERS: dict[str, Matcher] = {
    "bag_f1": bag_f1,
    "coverage": coverage,
    "set": same_set,
    "overlap": overlap,
    "f1": set_f1,
    "sequence": sequence,
    "sequence_args": sequence_args,
    "lcs": longest_common_subsequence,
    "results": same_results,
}


def can_compare(task: Task, matcher: Matcher) -> bool:
    """Return whether the teacher's calls are known, and for `results` what each of them returned."""
    if task.reference is None:
        return False
    return matcher is not same_results or all(call.result is not None for call in task.reference)


def _names(calls: Sequence[ToolCall]) -> list[str]:
    return [call.name for call in calls]


def _ran(calls: Sequence[CallRecord]) -> list[str]:
    """Return the names of the calls that ran without error (or fit, where calls are not run), in order."""
    return [call.name for call in calls if call.fits and call.name is not None]


def _shared(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> int:
    """Count the calls that ran and that the teacher made too, by tool name and how often each was called."""
    return (Counter(_ran(student)) & Counter(_names(teacher))).total()


def _f1(shared: int, student: int, teacher: int) -> float:
    """Return the harmonic mean of precision and recall; 1 where both sides are empty."""
    return 2 * shared / (student + teacher) if student + teacher else 1.0


def _same_call(student: CallRecord, teacher: ToolCall) -> bool:
    if student.name != teacher.name:
        return False
    return isinstance(teacher, NamedCall) or same_value(student.arguments, teacher.arguments)


def same_value(ours: Any, theirs: Any) -> bool:
    """Return whether JSON values are equal: numbers by value, true never equal to 1."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same_value(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same_value, ours, theirs))
    return isinstance(ours, bool) == isinstance(theirs, bool) and ours == theirs
