"""Turn worked answers into executed tool calls: GSM8K's `<<48/2=24>>` annotations, or a row's reference calls.

One call a turn, in evaluation order. Numbers of an annotation are taken literally; only the parts of a compound
expression are passed on as results. The value behind `=` is not used: a row is kept if its last call, executed, gives
the gold answer. An earlier call that gives it proves nothing, since it may agree by chance. Where annotations are
missing or stop short of the answer, true equations in the prose (`2000/$8 = 250`) are executed too.

Right calls in place of an answer are written down as one turn and not run.
"""

from __future__ import annotations

import ast
import math
import re
from typing import Any

from mentor.chat.messages import make_call
from mentor.tasks.programs import Program, evaluate, is_reference, reference, step, tidy
from mentor.teachers.base import TaskTeacher
from mentor.teachers.outcomes import Rejection
from mentor.teachers.transcript import TOLERANCE, execute
from mentor.tools import ToolExecutor
from mentor.types import CallError, CallRecord, NamedCall, StopReason, Task, Trajectory

EQUATION = re.compile(
    r"<<(.*?)>>"  # an annotation, or in the prose:
    r"|(?<![\w.%)*/+×÷−–-])(?<![*/+x×÷−–-] )"  # not the end of a longer expression
    r"([$(\d.][\d \t.,$()*/+x×÷−–%-]{0,199})=\s*\$?(-?[\d,]*\.?\d+)(?![\d.,]*\s*[*/+x×-]\s*[$\d(])"
)
SPELLINGS = str.maketrans(
    {"×": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")", "{": "(", "}": ")", "^": "**", "$": None}
)
NO_CALL = "None of the tools fits."  # what is said where no call is right
LONGEST_EXPRESSION = 200  # characters; keeps parsing cheap and its depth bounded

OPERATORS: dict[type[ast.operator], tuple[str, str, str]] = {
    ast.Add: ("add", "a", "b"),
    ast.Sub: ("subtract", "a", "b"),
    ast.Mult: ("multiply", "a", "b"),
    ast.Div: ("divide", "a", "b"),
    ast.FloorDiv: ("divide", "a", "b"),  # and then floor
    ast.Mod: ("modulo", "a", "b"),
    ast.Pow: ("power", "base", "exponent"),
}


class UnparsableError(ValueError):
    """An annotation that is no arithmetic expression."""


class Annotated(TaskTeacher):
    """Solves tasks with `source["solution"]` (GSM8K) or with a reference (jsonl); writes down right calls."""

    async def solve(self, task: Task, executor: ToolExecutor) -> Trajectory | Rejection:
        if task.gold is not None:
            return written(task, executor.toolset.schemas_json)
        try:
            program, longer = task_program(task), task_program(task, prose=True)
        except UnparsableError as error:
            return Rejection("unparsable", str(error))
        outcome = await execute(program, task, executor) if program else _why_empty(task)
        if isinstance(outcome, Trajectory) or longer == program:
            return outcome
        again = await execute(longer, task, executor)
        return again if isinstance(again, Trajectory) else outcome


def written(task: Task, tools: str) -> Trajectory | Rejection:
    """Write the right calls of a task as its one turn, which calls nothing where no call is right; nothing is run."""
    calls = list(task.reference or ())
    if not calls and task.gold is not None and task.gold.category == "relevance":
        return Rejection("no_calls", "any call is right, and the row names none")
    turn = sum(message["role"] == "assistant" for message in task.earlier)
    made = [make_call(call.name, call.arguments, number) for number, call in enumerate(calls)]
    said = {"role": "assistant", "content": "" if calls else NO_CALL} | ({"tool_calls": made} if made else {})
    records = [CallRecord(turn, call.name, call.arguments, False, CallError.NOT_RUN) for call in calls]
    ending = StopReason.CALLED if calls else StopReason.ANSWERED
    return Trajectory(task, [*task.prompt, said], tools, ending, records)


def _why_empty(task: Task) -> Rejection:
    if "solution" in task.source:
        return Rejection("no_annotation", "the worked answer has no <<expression=value>> with an operation")
    if task.reference is None:
        return Rejection("no_annotation", "the row has neither a worked answer nor reference calls")
    if task.reference:
        return Rejection("names_only", "of the reference calls only the names are known, so none can be executed")
    return Rejection("no_calls", "the reference is empty, so no executed result can be the answer")


def task_program(task: Task, prose: bool = False) -> Program:
    """Return the calls of a task: from its worked answer, else its reference; empty where only names are known."""
    if "solution" in task.source:
        return solution_program(task.source["solution"], prose)
    reference = task.reference or ()
    if any(isinstance(call, NamedCall) for call in reference):
        return []
    return [{"name": call.name, "arguments": call.arguments} for call in reference]


def solution_program(solution: str, prose: bool = False) -> Program:
    """Return the calls of all annotations in order; one without an operation (`<<24=24>>`) gives no call.

    prose: also take true equations in the text around them. Raises UnparsableError for an annotation.
    """
    program: Program = []
    for annotation, expression, value in EQUATION.findall(solution):
        if not expression:
            _append(parse(annotation), program, annotation)
        elif prose and _holds(expression, value):
            _append(parse(expression), program, expression)
    return program


def _holds(expression: str, value: str) -> bool:
    """Whether an equation found in prose is true: its left side parses and gives the right side."""
    program: Program = []
    if "**" in expression:  # evaluated here, without the sandbox's limits
        return False
    try:
        _append(parse(expression), program, expression)
        return bool(program) and abs(evaluate(program)[-1] - float(value.replace(",", ""))) <= TOLERANCE
    except (UnparsableError, ArithmeticError):
        return False


def parse(annotation: str) -> ast.expr:
    """Parse the text before the first `=`.

    Takes `(5+3)*2-1`, `.5*20`, `20%*50`, `3x4`, `05+1`, `1,000/4`, `$5*2`, `2^3`. Raises UnparsableError.
    """
    text = annotation.split("=")[0].translate(SPELLINGS)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)  # thousands
    text = re.sub(r"(?<=[\d.)])\s*[xX]\s*(?=[\d.(])", "*", text)
    text = re.sub(r"(\d+\.?\d*|\.\d+)\s*%(?!\s*[\d.(])", r"(\1/100)", text)  # percent, not modulo
    text = re.sub(r"(?<![\d.])0+(?=\d)", "", text).strip()
    if not text or len(text) > LONGEST_EXPRESSION:
        raise UnparsableError(f"{annotation[:80]}: {'too long' if text else 'no expression'}")
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise UnparsableError(f"{annotation}: not an arithmetic expression") from None


def _append(node: ast.expr, program: Program, annotation: str) -> Any:
    """Append the calls that compute `node`. Returns its value as an argument: a number or a reference to a call."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and math.isfinite(value):
            return tidy(value)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            return _signed(_append(operand, program, annotation), isinstance(sign, ast.USub), program)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in OPERATORS:
            name, first, second = OPERATORS[type(operator)]
            arguments = {first: _append(left, program, annotation), second: _append(right, program, annotation)}
            program.append(step(name, **arguments))
            if isinstance(operator, ast.FloorDiv):
                program.append(step("floor", x=reference(len(program) - 1)))
            return reference(len(program) - 1)
    raise UnparsableError(f"{annotation}: accepted: numbers, brackets and + - * / // % ^")


def _signed(value: Any, negative: bool, program: Program) -> Any:
    """Return a number with its sign; the result of a call is subtracted from 0."""
    if not negative:
        return value
    if not is_reference(value):
        return -value
    program.append(step("subtract", a=0, b=value))
    return reference(len(program) - 1)
