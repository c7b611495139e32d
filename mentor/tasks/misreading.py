"""Calculator questions read wrongly: some calls of their program name another tool or have other numbers.

Makes the pretraining text of a base that lacks the skill: its calls are well-formed and run, and their results are not
what the question asks for. A misread call fits the number at hand, as those of the generator do, and no pair of
adjacent tools is one of the `combo` split.
"""

from __future__ import annotations

import random
from typing import Any

from mentor.tasks.calculator import chained, draw_arguments, exact_result, first_number, fitting_tool, suits
from mentor.tasks.programs import HELD_OUT_PAIRS, Number, Program, Step, resolve_arguments, step

LARGEST = 99_999  # result, the generator's own bound on large numbers
SAME_TOOL = 0.5  # share of the misread calls that have other numbers; the rest name another tool


def misread(program: Program, skill: float, rng: random.Random) -> Program:
    """Return the program with each call kept with probability `skill`, on its own, and misread otherwise.

    program: a chain as the generator makes them, each call on the result before it. A call is misread as well where it
    cannot follow the calls before it: a square root of a negative number. Of a result below zero only abs_value is ever
    taken, which is kept.
    """
    read: Program = []
    results: list[Number] = []
    for entry in program:
        misreads = rng.random() >= skill and not (results and results[-1] < 0)
        call, result = entry, None if misreads else _result(entry, read, results)
        while result is None:
            call = _other_call(entry, read, results, rng)
            result = _result(call, read, results) if call != entry else None
        read.append(call)
        results.append(result)
    return read


def _result(call: Step, read: Program, results: list[Number]) -> Number | None:
    """Compute what the call returns after those that were read; None where it cannot follow them."""
    arguments = resolve_arguments(call, results)
    fits = suits(_first(arguments), call["name"]) and (_before(read), call["name"]) not in HELD_OUT_PAIRS
    result = exact_result(call["name"], arguments) if fits else None
    return result if result is not None and abs(result) <= LARGEST else None


def _other_call(entry: Step, read: Program, results: list[Number], rng: random.Random) -> Step:
    """Draw a call of this or another tool: the first number is kept where it suits, the others are drawn."""
    value = _first(resolve_arguments(entry, results))
    other = fitting_tool(_before(read), value, rng)
    name = entry["name"] if other is None or rng.random() < SAME_TOOL else other
    if not read and (name == entry["name"] or not suits(value, name)):
        value = first_number(name, False, rng)
    arguments = draw_arguments(name, value, False, rng)
    return step(name, **(chained(arguments, len(read) - 1) if read else arguments))


def _before(read: Program) -> str | None:
    return read[-1]["name"] if read else None


def _first(arguments: dict[str, Any]) -> Number:
    """The number that a call works on: its first argument, or the first of its list."""
    value = next(iter(arguments.values()))
    return value[0] if isinstance(value, list) else value
