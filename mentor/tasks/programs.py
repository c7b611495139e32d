"""Calculator programs: chains of tool calls, what they evaluate to, and other tool paths to the same result.

Used by the generator (answers), the oracle teacher and the pretraining text (alternative paths). A program is a list of
`{"name", "arguments"}` as in a tool call; an argument `{"$step": i}` stands for the result of step `i`.
Evaluation here only makes and checks questions: a teacher's calls are executed by the tool executor.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

Number = int | float
Step = dict[str, Any]
Program = list[Step]

OPERATIONS: dict[str, Callable[..., Number]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "modulo": lambda a, b: a % b,
    "power": lambda base, exponent: base**exponent,
    "sum_numbers": lambda numbers: sum(numbers),
    "floor": lambda x: math.floor(x),
    "ceil": lambda x: math.ceil(x),
    "sqrt": lambda x: math.sqrt(x),
    "abs_value": lambda x: abs(x),
    "round_number": lambda x, digits: round(x, digits),
}

HELD_OUT_PAIRS: frozenset[tuple[str, str]] = frozenset(
    {
        ("add", "divide"),
        ("add", "sqrt"),
        ("subtract", "multiply"),
        ("subtract", "modulo"),
        ("multiply", "subtract"),
        ("multiply", "ceil"),
        ("divide", "add"),
        ("divide", "floor"),
        ("modulo", "power"),
        ("power", "subtract"),
        ("sum_numbers", "multiply"),
        ("sqrt", "add"),
        ("abs_value", "multiply"),
        ("floor", "subtract"),
        ("ceil", "add"),
        ("round_number", "subtract"),
    }
)
"""Ordered pairs of adjacent tools that occur in the `combo` split and nowhere else."""


def step(name: str, /, **arguments: Any) -> Step:
    return {"name": name, "arguments": arguments}


def reference(index: int) -> dict[str, int]:
    """Return the argument that stands for the result of step `index`."""
    return {"$step": index}


def is_reference(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"$step"}


def resolve(argument: Any, results: list[Number]) -> Any:
    """Replace every reference in an argument by the result it stands for."""
    if isinstance(argument, list):
        return [resolve(entry, results) for entry in argument]
    return results[argument["$step"]] if is_reference(argument) else argument


def resolve_arguments(entry: Step, results: list[Number]) -> dict[str, Any]:
    return {key: resolve(value, results) for key, value in entry["arguments"].items()}


def evaluate(program: Program) -> list[Number]:
    """Compute the result of every step; whole floats become integers, as in the text of a tool result."""
    results: list[Number] = []
    for entry in program:
        results.append(tidy(OPERATIONS[entry["name"]](**resolve_arguments(entry, results))))
    return results


def tidy(value: Number) -> Number:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def number_text(value: Number) -> str:
    """Write a number as plain text: `3`, `-4`, `2.75`; a whole float without its `.0`."""
    return repr(tidy(value))


def tool_pairs(program: Program) -> set[tuple[str, str]]:
    """Return the ordered pairs of tools called directly after each other."""
    names = [entry["name"] for entry in program]
    return set(zip(names, names[1:], strict=False))


def signature(program: Program) -> str:
    """Write the last step as one expression, equal for programs that differ only in the order of sums and products.

    Adding, summing and small powers are written alike, so `3 + 4 + 5` and `sum_numbers([5, 4, 3])` share a signature.
    """
    texts: list[str] = []
    for entry in program:
        texts.append(_expression(entry, texts))
    return texts[-1]


def _expression(entry: Step, texts: list[str]) -> str:
    name, arguments = entry["name"], entry["arguments"]
    values = arguments["numbers"] if name == "sum_numbers" else list(arguments.values())
    parts = [texts[value["$step"]] if is_reference(value) else number_text(value) for value in values]
    if name == "power" and values[1] in (2, 3):
        name, parts = "multiply", [parts[0]] * values[1]
    label = {"add": "sum", "sum_numbers": "sum", "multiply": "product"}.get(name, name)
    if label in ("sum", "product"):
        parts = sorted(flat for part in parts for flat in _flatten(label, part))
    return f"{label}({' '.join(parts)})"


def _flatten(label: str, text: str) -> list[str]:
    """The terms of a nested expression of the same label, or the text itself."""
    if not text.startswith(f"{label}("):
        return [text]
    terms, depth = [""], 0
    for character in text[len(label) + 1 : -1]:
        depth += (character == "(") - (character == ")")
        if character == " " and depth == 0:
            terms.append("")
        else:
            terms[-1] += character
    return terms


def bucket(program: Program, buckets: int) -> int:
    """Hash the signature into `range(buckets)`: the same in every process and for every seed."""
    digest = hashlib.blake2b(signature(program).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % buckets


# --- other tool paths ------------------------------------------------------------------------------------------------


def alternatives(program: Program) -> list[Program]:
    """Build programs with the same result by other calls, in a fixed order; none holds a pair of the `combo` split.

    Each rewrites one step (`power` as `multiply`, `subtract` as `add` of the negative, ...) or one run of additions.
    """
    found = [_splice(program, start, stop, chunk) for start, stop, chunk in _rewrites(program)]
    answer = evaluate(program)[-1]
    return [path for path in found if evaluate(path)[-1] == answer and not tool_pairs(path) & HELD_OUT_PAIRS]


def _rewrites(program: Program) -> list[tuple[int, int, Program]]:
    """(start, stop, chunk): `chunk` may stand in for the steps `start:stop`."""
    results = evaluate(program)
    found = [
        (index, index + 1, chunk)
        for index, entry in enumerate(program)
        for chunk in step_rewrites(entry, index, resolve_arguments(entry, results))
    ]
    for start in range(len(program)):
        stop = start
        while stop < len(program) and program[stop]["name"] == "add":
            stop += 1
        if stop - start >= 2:
            numbers = [program[start]["arguments"]["a"], *(entry["arguments"]["b"] for entry in program[start:stop])]
            found.append((start, stop, [step("sum_numbers", numbers=numbers)]))
    return found


def step_rewrites(entry: Step, index: int, values: dict[str, Any]) -> list[Program]:
    """Other ways to make one step; `values` are its arguments with references resolved."""
    arguments = entry["arguments"]
    match entry["name"]:
        case "add":
            return [[step("sum_numbers", numbers=[arguments["a"], arguments["b"]])]]
        case "subtract" if not is_reference(arguments["b"]):
            return [[step("add", a=arguments["a"], b=-arguments["b"])]]
        case "multiply" if values["b"] in (2, 3):
            return [[step("sum_numbers", numbers=[arguments["a"]] * values["b"])]]
        case "divide" if values["b"] in (2, 4):
            return [[step("multiply", a=arguments["a"], b=1 / values["b"])]]
        case "power" if values["exponent"] in (2, 3):
            return [_product(arguments["base"], values["exponent"], index)]
        case "sum_numbers":
            return [_additions(arguments["numbers"], index)]
        case "sqrt":
            return [[step("power", base=arguments["x"], exponent=0.5)]]
        case "abs_value" if values["x"] < 0:
            return [[step("multiply", a=arguments["x"], b=-1)], [step("subtract", a=0, b=arguments["x"])]]
    return []


def _product(factor: Any, count: int, index: int) -> Program:
    chunk = [step("multiply", a=factor, b=factor)]
    return chunk + [step("multiply", a=reference(index + done), b=factor) for done in range(count - 2)]


def _additions(numbers: list[Any], index: int) -> Program:
    chunk = [step("add", a=numbers[0], b=numbers[1])]
    return chunk + [step("add", a=reference(index + done), b=number) for done, number in enumerate(numbers[2:])]


def _splice(program: Program, start: int, stop: int, chunk: Program) -> Program:
    """The program with `chunk` in place of `start:stop`; later references move along."""
    shift = len(chunk) - (stop - start)

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(entry) for entry in value]
        return reference(value["$step"] + shift) if is_reference(value) and value["$step"] >= start else value

    tail = [
        step(entry["name"], **{key: moved(value) for key, value in entry["arguments"].items()})
        for entry in program[stop:]
    ]
    return program[:start] + chunk + tail
