"""A task whose teacher used a tool that is missing now: the same results by other tools of the calculator.

Each call of the missing tool is replaced by calls of others (`power` by `multiply`, `modulo` by a division and what is
left of it, ...). A replacement counts where it was executed and its last result is the call's own.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from mentor.tasks.programs import Program, reference, step, step_rewrites, tidy
from mentor.teachers.transcript import Transcript, shown_value
from mentor.tools import ToolExecutor
from mentor.types import Task, ToolCall, kept_result

MOST_EQUAL_PARTS = 9  # numbers of a sum that stands for a product


async def without_a_tool(task: Task, executor: ToolExecutor) -> Task | None:
    """Take one of the teacher's tools away from a perturbed task and make its reference the other path.

    Which one is drawn from those that the others can replace; None where there is none. executor: of all the tools.
    """
    assert task.perturbation is not None
    names = sorted({call.name for call in task.reference or ()})
    random.Random(f"perturbed/{task.perturbation.key}/missing").shuffle(names)
    for name in names:
        path = await other_path(task, name, executor)
        if path is not None:
            return replace(task, reference=path, perturbation=replace(task.perturbation, missing=name))
    return None


async def other_path(task: Task, missing: str, executor: ToolExecutor) -> tuple[ToolCall, ...] | None:
    """Return the reference of a task with every call of a tool replaced; None where one of them cannot be."""
    path: list[ToolCall] = []
    for call in task.reference or ():
        calls: list[ToolCall] | None = [call]
        if call.name == missing:
            calls = await replacement(call, task, executor)
        if calls is None:
            return None
        path += calls
    return tuple(path)


async def replacement(call: ToolCall, task: Task, executor: ToolExecutor) -> list[ToolCall] | None:
    """Return executed calls of other tools with the result of this one, the shortest first tried; None without any."""
    wanted = await executed([step(call.name, **call.arguments)], task, executor)
    if wanted is None:
        return None
    programs = [program for program in rewrites(call) if all(entry["name"] != call.name for entry in program)]
    for program in sorted(programs, key=len):
        found = await executed(program, task, executor)
        if found is not None and shown_value(found[-1].result or "") == shown_value(wanted[-1].result or ""):
            return found
    return None


async def executed(program: Program, task: Task, executor: ToolExecutor) -> list[ToolCall] | None:
    """Execute a program; None where a call of it fails."""
    transcript = Transcript(task, executor)
    if await transcript.run(program):
        return None
    pairs = zip(transcript.calls, transcript.texts, strict=True)
    return [ToolCall(call.name or "", call.arguments, kept_result(text)) for call, text in pairs]


def rewrites(call: ToolCall) -> list[Program]:
    """Build the programs that may stand for a call of the calculator; whether they do, executing them says."""
    values = {key: tidy_value(value) for key, value in call.arguments.items()}
    if call.name == "sum_numbers" and len(values["numbers"]) < 2:
        return []
    return [*step_rewrites(step(call.name, **values), 0, values), *longer_rewrites(call.name, values)]


def tidy_value(value: Any) -> Any:
    """Write whole floats as integers, also in a list."""
    return [tidy(entry) for entry in value] if isinstance(value, list) else tidy(value)


def longer_rewrites(name: str, values: dict[str, Any]) -> list[Program]:
    """Build ways to make one step that take more calls or larger arguments than `step_rewrites`."""
    match name:
        case "multiply":
            return [*_repeated_sum(values["a"], values["b"]), *_repeated_sum(values["b"], values["a"])]
        case "divide":
            return [[step("power", base=values["b"], exponent=-1), step("multiply", a=values["a"], b=reference(0))]]
        case "modulo":
            return [_remainder(values["a"], values["b"])]
        case "floor":
            return [[step("ceil", x=values["x"]), step("subtract", a=reference(0), b=1)]]
        case "ceil":
            return [[step("floor", x=values["x"]), step("add", a=reference(0), b=1)]]
        case "round_number":
            return [_rounded(values["x"], values.get("digits", 0))]
    return []


def _repeated_sum(part: Any, times: Any) -> list[Program]:
    few = isinstance(times, int) and 2 <= times <= MOST_EQUAL_PARTS
    return [[step("sum_numbers", numbers=[part] * times)]] if few else []


def _remainder(a: Any, b: Any) -> Program:
    return [
        step("divide", a=a, b=b),
        step("floor", x=reference(0)),
        step("multiply", a=reference(1), b=b),
        step("subtract", a=a, b=reference(2)),
    ]


def _rounded(x: Any, digits: Any) -> Program:
    scale = 10**digits
    return [
        step("multiply", a=x, b=scale),
        step("add", a=reference(0), b=0.5),
        step("floor", x=reference(1)),
        step("divide", a=reference(2), b=scale),
    ]
