"""The matcher `results`: whether a student's calls returned what the teacher's did, whichever tools they used.

Values are compared, not names: `multiply(8, 0.5)` is as good as `divide(8, 2)`. Numbers are equal as the grader's plain
numbers are, so "70", "70.0" and "7e1" are one result; other texts are equal by `kept_result`.

What it cannot see: a right value that a call was made to return without the work (`subtract(43, 1)` for 42), unless the
value is among the call's own arguments. Such a guess has to be right, for each of the teacher's results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mentor.rewards.quantities import Quantity, equal_quantities, parse_quantity
from mentor.types import CallRecord, ToolCall


@dataclass(frozen=True)
class Value:
    """A result or an argument: its text, and its number where it is one."""

    text: str
    number: Quantity | None

    @classmethod
    def read(cls, value: Any) -> Value:
        text = str(value).strip()
        return cls(text, parse_quantity(text))

    def equals(self, other: Value) -> bool:
        if self.number is not None and other.number is not None:
            return equal_quantities(self.number, other.number)
        return self.text == other.text


@dataclass(frozen=True)
class TeacherResult:
    """A result of the teacher, where it first appeared. value: None where it is not known, so that nothing matches it.

    needs: the earlier results, by index, that it was made from, directly or not. inputs: those among the arguments of
    the teacher's call, or all of them where there is none.
    """

    value: Value | None
    needs: frozenset[int]
    inputs: tuple[Value, ...]

    def is_value(self, value: Value) -> bool:
        return self.value is not None and self.value.equals(value)

    def is_earned_by(self, call: CallRecord) -> bool:
        """Return whether a call that returned it has not only passed on an argument, as `add(42, 0)` does.

        Calls such as `subtract(10, 5)` do return one of their arguments: they take `inputs` too.
        """
        given = _leaves(call.arguments)
        passed_on = any(map(self.is_value, given))
        return not passed_on or (bool(self.inputs) and _holds(given, self.inputs))


def same_results(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> float:
    """Return the share of the teacher's results that the student shares; the last of them counts by precision.

    With R results of the teacher, shared / R where one is missing, else (R - 1 + R / calls attempted) / R.

    The teacher's results are distinct, each where it first appeared. The student shares one that a call of its own
    returned without error, unless it first returned it before another that the teacher made it from, or passed it on
    from its own arguments (`add(42, 0)`). All its calls count as attempted, but for as many repeated results as the
    teacher had too. While a result is missing no call costs anything: a student that is paid for fewer calls learns to
    stop after the results it is sure of, since group-normalised advantages blow up any such difference.
    """
    wanted = teacher_results(teacher)
    first: dict[int, int] = {}  # by index of the teacher's result: the position of the call that first returned it
    repeats = 0
    for position, call in enumerate(student):
        place = None if call.result is None else _place(wanted, Value.read(call.result))
        if place in first:
            repeats += 1
        elif place is not None and wanted[place].is_earned_by(call):
            first[place] = position
    shared = sum(
        all(first.get(needed, position) <= position for needed in wanted[place].needs)
        for place, position in first.items()
    )
    attempted = len(student) - min(repeats, len(teacher) - len(wanted))
    return covered_share(shared, len(wanted), attempted)


def covered_share(shared: int, wanted: int, attempted: int) -> float:
    """Return shared / wanted where one is missing, else (wanted - 1 + wanted / attempted) / wanted.

    shared: at most wanted, and at most attempted. Where nothing is wanted, 1 without an attempt and else 0.
    """
    if not wanted:
        return float(not attempted)
    if shared < wanted:
        return shared / wanted
    return (wanted - 1 + wanted / attempted) / wanted


def teacher_results(calls: Sequence[ToolCall]) -> list[TeacherResult]:
    """List the distinct results of a teacher's calls in order of first appearance; each unknown one is an own entry."""
    found: list[TeacherResult] = []
    for call in calls:
        value = None if call.result is None else Value.read(call.result)
        if value is not None and _place(found, value) is not None:
            continue
        given = _leaves(call.arguments)
        direct = {
            place: argument for place, earlier in enumerate(found) for argument in given if earlier.is_value(argument)
        }
        needs = frozenset(direct).union(*(found[place].needs for place in direct))
        found.append(TeacherResult(value, needs, tuple(direct.values()) or given))
    return found


def _place(results: Sequence[TeacherResult], value: Value) -> int | None:
    """Return the index of the result that has this value; None where none has it."""
    return next((place for place, result in enumerate(results) if result.is_value(value)), None)


def _leaves(arguments: dict[str, Any]) -> tuple[Value, ...]:
    """Return the single values in arguments, also those inside lists and objects, in no order that means anything."""
    left: list[Any] = [arguments]
    found: list[Value] = []
    while left:
        entry = left.pop()
        if isinstance(entry, (dict, list)):
            left += entry.values() if isinstance(entry, dict) else entry
        else:
            found.append(Value.read(entry))
    return tuple(found)


def _holds(values: Sequence[Value], wanted: Sequence[Value]) -> bool:
    """Return whether the wanted values are among the others."""
    return all(any(map(value.equals, values)) for value in wanted)
