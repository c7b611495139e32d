"""Generated calculator questions: chains of tool calls asked in words. Makes the tasks of the calculator toolset.

Splits: `train` and `test` share one distribution; `long` (1 or 2 steps more), `wording` (phrases that `train` never
uses), `combo` (a pair of adjacent tools that no other split has) and `numbers` (larger) lie outside it. `train_long` is
another split to train on, which shares the distribution of `long`. `pretrain`, which a base student is made from, is
broad, as a language model's text is: mostly as `train`, with shares of the other kinds but never a pair of `combo`. So
outside means outside of what a student is tuned on, not of all it has ever read.
Every split owns its own buckets of a hash of the program, so no program and no question is in two splits, whatever
the seeds, sizes and step limits. `train_long` alone shares its buckets, with `train`: at the same step limit the two
differ in length, and no split to evaluate on shares anything with either.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from mentor.errors import InputError
from mentor.tasks.programs import (
    HELD_OUT_PAIRS,
    OPERATIONS,
    Number,
    Program,
    bucket,
    evaluate,
    number_text,
    reference,
    signature,
    step,
    tidy,
)
from mentor.tasks.wording import TRAINING, UNSEEN, ask
from mentor.types import Task

BUCKETS = {
    "pretrain": range(0, 40),
    "train": range(40, 70),
    "train_long": range(40, 70),  # as `train`
    "test": range(70, 80),
    "long": range(80, 85),
    "wording": range(85, 90),
    "combo": range(90, 95),
    "numbers": range(95, 100),
}
BUCKET_COUNT = 100
LONGER = ("long", "train_long")  # splits of max_steps + 1 to max_steps + 2 steps
PRETRAIN_KINDS = (("train", "long", "wording", "numbers"), (0.58, 0.12, 0.15, 0.15))  # and their shares
PICKY = ("floor", "ceil", "round_number", "sqrt", "abs_value")
SELDOM_FITTING = 3  # weight of a picky tool when the number at hand suits it; the others weigh 1
DECIMAL_SHARE = 0.2  # of the first numbers that a sum, difference or product starts from
LONGEST_CHAIN = 10  # steps, of the splits LONGER
TRIES_PER_TASK = 20_000  # draws without a new question before the space counts as used up


def generate(split: str, size: int, max_steps: int, seed: int) -> list[Task]:
    """Generate `size` tasks of `split`, the same for the same arguments; a smaller size gives the first of them.

    Raises InputError for an unknown split, a number out of range, or more tasks than there are questions.
    """
    _check(split, size, max_steps)
    rng = random.Random(f"{split} {seed}")
    tasks: list[Task] = []
    questions: set[str] = set()
    tries = 0
    while len(tasks) < size:
        if tries == TRIES_PER_TASK:
            raise InputError(
                f"calculator size={size}: split {split} has about {len(tasks)} questions with max_steps={max_steps}"
            )
        tries += 1
        kind = rng.choices(*PRETRAIN_KINDS)[0] if split == "pretrain" else split
        program = _draw(kind, max_steps, rng)
        if bucket(program, BUCKET_COUNT) not in BUCKETS[split]:
            continue
        question = ask(program, UNSEEN if kind == "wording" else TRAINING, rng)
        if normalized(question) not in questions:
            questions.add(normalized(question))
            tasks.append(_task(f"calculator-{split}-{len(tasks):06d}", question, program, split))
            tries = 0
    return tasks


def _check(split: str, size: int, max_steps: int) -> None:
    if split not in BUCKETS:
        raise InputError(f"calculator split={split}: no such split, accepted: {', '.join(BUCKETS)}")
    if size < 1:
        raise InputError(f"calculator size={size}: accepted: 1 or more")
    least = 2 if split == "combo" else 1
    if not least <= max_steps <= LONGEST_CHAIN - 2:
        accepted = f"{least} to {LONGEST_CHAIN - 2} for split {split}"
        raise InputError(f"calculator max_steps={max_steps}: accepted: {accepted}")


def _task(task_id: str, question: str, program: Program, split: str) -> Task:
    answer = number_text(evaluate(program)[-1])
    return Task(task_id, question, (answer,), toolset="calculator", split=split, source={"program": program})


def normalized(question: str) -> str:
    """Write a question without case and spacing, for comparison."""
    return " ".join(question.lower().split())


def check_disjoint(tasks: Iterable[Task]) -> None:
    """Raise InputError when two splits with buckets of their own share a question or a program."""
    owner: dict[str, Task] = {}
    for task in tasks:
        for key in (normalized(task.question), signature(task.source["program"])):
            first = owner.setdefault(key, task)
            if BUCKETS[first.split] != BUCKETS[task.split]:
                raise InputError(f"splits {first.split} and {task.split} share {key!r}: {first.id}, {task.id}")


# --- drawing programs ------------------------------------------------------------------------------------------------


def _draw(kind: str, max_steps: int, rng: random.Random) -> Program:
    """A random program of the split's kind, its number of steps uniform."""
    least, most = (max_steps + 1, max_steps + 2) if kind in LONGER else (2 if kind == "combo" else 1, max_steps)
    steps = rng.randint(least, most)
    while True:
        names: list[str | None] = [None] * steps
        if kind == "combo":
            place = rng.randrange(steps - 1)
            names[place : place + 2] = rng.choice(sorted(HELD_OUT_PAIRS))
        program = _chain(names, kind == "numbers", rng)
        if program is not None:
            return program


def _chain(names: list[str | None], large: bool, rng: random.Random) -> Program | None:
    """A chain of the named tools, with fitting ones where the name is None; each takes the result before it first.

    None where a named tool does not fit the number at hand, or a result is not short and exact.
    """
    program: Program = []
    value: Number = 0
    for index, wanted in enumerate(names):
        name = wanted or fitting_tool(program[-1]["name"] if program else None, value, rng)
        if name is None or (index and not suits(value, name)):
            return None
        if not index:
            value = first_number(name, large, rng)
        arguments = draw_arguments(name, value, large, rng)
        result = exact_result(name, arguments)
        if result is None or abs(result) > (99_999 if large else 9_999):
            return None
        program.append(step(name, **(chained(arguments, index - 1) if index else arguments)))
        value = result
    return program


def fitting_tool(before: str | None, value: Number, rng: random.Random) -> str | None:
    """Draw a tool for a first step (`before` is None), or one that suits `value` and is no held-out pair.

    None where no tool suits.
    """
    if before is None:
        return rng.choice(list(OPERATIONS))
    names = [name for name in OPERATIONS if suits(value, name) and (before, name) not in HELD_OUT_PAIRS]
    return rng.choices(names, [SELDOM_FITTING if name in PICKY else 1 for name in names])[0] if names else None


def chained(arguments: dict[str, Any], previous: int) -> dict[str, Any]:
    """Return the same arguments, the first of them a reference to the step before."""
    key = next(iter(arguments))
    if key == "numbers":
        return {"numbers": [reference(previous), *arguments["numbers"][1:]]}
    return {**arguments, key: reference(previous)}


def first_number(name: str, large: bool, rng: random.Random) -> Number:
    """Draw a number to start from that suits the tool; now and then with a decimal, so that rounding can follow."""
    low, high = (100, 999) if large else (2, 99)
    match name:
        case "floor" | "ceil":
            return _decimal(low, high, rng.choice((1, 2)), rng)
        case "round_number":
            return _decimal(low, high, rng.choice((2, 3)), rng)
        case "sqrt":
            return (rng.randint(32, 99) if large else rng.randint(2, 31)) ** 2
        case "abs_value":
            return -rng.randint(low, high)
        case "power":
            return rng.randint(13, 40) if large else rng.randint(2, 12)
        case "divide" | "modulo":
            return rng.randint(low, high)
    return _decimal(low, high, 1, rng) if rng.random() < DECIMAL_SHARE else rng.randint(low, high)


def _decimal(low: int, high: int, places: int, rng: random.Random) -> float:
    """A number with exactly that many decimals, the last of them not zero."""
    return (rng.randint(low * 10 ** (places - 1), high * 10 ** (places - 1)) * 10 + rng.randint(1, 9)) / 10**places


def draw_arguments(name: str, x: Number, large: bool, rng: random.Random) -> dict[str, Any]:
    """Draw values for every parameter of the tool, the first of them `x`; `large` ones as the split `numbers` has."""
    low, high = (100, 999) if large else (2, 99)
    match name:
        case "add" | "subtract":
            return {"a": x, "b": rng.randint(low, high)}
        case "multiply" | "divide" | "modulo":
            return {"a": x, "b": rng.randint(2, 12)}
        case "power":
            return {"base": x, "exponent": rng.choice((2, 2, 3))}
        case "sum_numbers":
            return {"numbers": [x, rng.randint(low, high), rng.randint(low, high)]}
        case "round_number":
            return {"x": x, "digits": rng.choice((1, 2))}
    return {"x": x}


def exact_result(name: str, arguments: dict[str, Any]) -> Number | None:
    """Return the result; None where a float is not exact, has over 3 decimals, or is rounded at a tie or to itself."""
    result = tidy(OPERATIONS[name](**arguments))
    fractions = {key: _fraction(value) for key, value in arguments.items()}
    exact = fractions["x"] if name == "sqrt" else OPERATIONS[name](**fractions)
    if _fraction(result) ** (2 if name == "sqrt" else 1) != exact or (_fraction(result) * 1000).denominator != 1:
        return None
    if name == "round_number":
        scaled = fractions["x"] * 10 ** arguments["digits"]
        return result if scaled.denominator > 2 else None
    return result


def _fraction(value: Any) -> Any:
    """The decimal number as written, exactly; integers and lists of numbers likewise."""
    if isinstance(value, list):
        return [_fraction(entry) for entry in value]
    return value if isinstance(value, int) else Fraction(repr(value))


def suits(value: Number, name: str) -> bool:
    """Say whether a result is a fit first argument of the tool."""
    whole = isinstance(value, int)
    match name:
        case "floor" | "ceil":
            return not whole and value > 0
        case "round_number":
            return value > 0 and _fraction(value * 10).denominator != 1
        case "abs_value":
            return value < 0
        case "sqrt":
            return whole and value > 1 and math.isqrt(int(value)) ** 2 == value
        case "power":
            return whole and 2 <= value <= 40
        case "divide" | "modulo":
            return whole and value > 1
    return value >= 0
