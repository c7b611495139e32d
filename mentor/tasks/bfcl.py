"""Rows of the Berkeley Function Calling Leaderboard (v4): a question, the row's own tools and the accepted calls.

Its schemas are not JSON schema (types `dict`, `float`, `tuple`, `any`); they are turned into it. A task's reference is
the first accepted value of every argument, in order; in `irrelevance` it is empty. The tools have no code: the calls of
one turn are judged and not run.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mentor.calls.gold import typed
from mentor.calls.schemas import check_schema, json_schema
from mentor.errors import InputError
from mentor.rows import Row, describe, read_rows
from mentor.tasks.prompts import read_prompt
from mentor.tasks.row_kind import BadRows
from mentor.types import GoldCalls, Task, TaskTools, ToolCall

CLASS_FILES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}


def load_single_turn(
    path: str | Path, split: str = "test", key: str = "task.path", bad: BadRows | None = None
) -> list[Task]:
    """Load the tasks of a category judged by the calls of one turn; a row of another is a bad one."""
    return load_bfcl(path, split=split, key=key, bad=bad, one_turn=True)


def category_of(row_id: str) -> str:
    """`simple`, `multiple`, `parallel`, `irrelevance` or `relevance`, from an id such as `parallel_multiple_3`."""
    for category in ("irrelevance", "relevance", "parallel", "multiple", "simple"):
        if category in row_id and "java" not in row_id:
            return category
    raise InputError(
        f"row {row_id}: not judged by its calls, accepted: simple_python, multiple, parallel, parallel_multiple, "
        "irrelevance, and the same of live_, with live_relevance"
    )


def answers_file(path: str | Path) -> Path:
    """Find the file of accepted calls of a category's file, if it has any."""
    return Path(path).parent / "possible_answer" / Path(path).name


def load_bfcl(
    path: str | Path,
    answers: str | Path | None = None,
    split: str = "test",
    key: str = "task.path",
    bad: BadRows | None = None,
    one_turn: bool = False,
) -> list[Task]:
    """Tasks of one category's file, whose name says which.

    answers: the file of accepted calls; without it `possible_answer/<same name>` beside `path`, which `irrelevance` and
    `live_relevance` do not have. The functions of a multi-turn row are in `multi_turn_func_doc/` beside it. `question`
    is the first turn's; `source` keeps the `question_row` and the `answer_row`, None without answers. key: the config
    key of `path`, for messages. bad: has the rows that cannot be used; one_turn: also those of several turns. Raises
    InputError naming the rows.
    """
    path, bad = Path(path), bad or BadRows()
    rows = read_rows(path, key, bad.add)
    if answers is None and "relevance" not in path.name:
        answers = answers_file(path)
    accepted = {} if answers is None else {row["id"]: row for _, row in read_rows(Path(answers), f"{key}: its answers")}
    documents: dict[str, list[Row]] = {}
    tasks = []
    for place, row in rows:
        try:
            tasks.append(_task(row, place, accepted, split, path.parent, documents, one_turn))
        except InputError as error:
            bad.add(error)
    bad.settle(len(tasks), str(path), key.removesuffix(".path"))
    return tasks


def _task(
    row: Row,
    place: str,
    accepted: Mapping[str, Row],
    split: str,
    folder: Path,
    documents: dict[str, list[Row]],
    one_turn: bool,
) -> Task:
    for key, kind in (("id", str), ("question", list)):
        if not isinstance(row.get(key), kind) or not row[key]:
            raise InputError(f"{place}: {key} is {describe(row.get(key))}, accepted: a row of BFCL v4")
    if one_turn:
        category_of(row["id"])
        if len(row["question"]) != 1:
            raise InputError(f"row {row['id']}: {len(row['question'])} turns, accepted: one turn")
    if accepted and row["id"] not in accepted:
        raise InputError(f"{place}: the answers hold no id {row['id']!r}")
    functions = row["function"] if "function" in row else _class_functions(row, place, folder, documents)
    if not isinstance(functions, list):
        raise InputError(f"{place}: function is {describe(functions)}, accepted: a list of functions")
    schemas = [tool_schema(function, place) for function in functions]
    truth: list[Any] = accepted[row["id"]]["ground_truth"] if accepted else []
    multi_turn = "involved_classes" in row
    calls = _multi_turn_calls(truth, schemas, place) if multi_turn else first_accepted(truth, schemas)
    earlier, question = read_prompt(row["question"][0], place, "question") if row["question"][0] else ((), "")
    return Task(
        id=row["id"],
        question=question,
        answer=(),
        toolset=row["id"],
        split=split,
        reference=tuple(calls),
        source={"question_row": row, "answer_row": accepted.get(row["id"])},
        tools=TaskTools(None, schemas),
        earlier=earlier,
        gold=gold_of_rows(row, accepted.get(row["id"])) if one_turn else None,
    )


def gold_of_rows(question_row: Mapping[str, Any], answer_row: Mapping[str, Any] | None) -> GoldCalls:
    """Return the right calls of a row that is judged by the calls of one turn, with the rows' own types.

    Raises InputError for rows of different ids and of other categories.
    """
    category = category_of(question_row["id"])
    if category in ("irrelevance", "relevance"):
        return GoldCalls(category)
    if answer_row is None or answer_row["id"] != question_row["id"]:
        given = "none" if answer_row is None else repr(answer_row["id"])
        raise InputError(f"row {question_row['id']}: its answer row is {given}, accepted: the one of the same id")
    functions, truth = question_row["function"], answer_row["ground_truth"]
    named = {name for call in truth for name in call}
    judged = functions[:1] if category == "simple" else [f for f in functions if f["name"] in named]
    return GoldCalls(category, [typed(function) for function in judged], list(truth))


def _class_functions(row: Row, place: str, folder: Path, documents: dict[str, list[Row]]) -> list[Row]:
    """The functions of a multi-turn row's classes, without those the row leaves out."""
    found: list[Row] = []
    for name in row.get("involved_classes", []):
        if name not in CLASS_FILES:
            raise InputError(f"{place}: involved_classes holds {name!r}, accepted: {', '.join(CLASS_FILES)}")
        if name not in documents:
            file = folder / "multi_turn_func_doc" / f"{CLASS_FILES[name]}.jsonl"
            documents[name] = [document for _, document in read_rows(file, "functions")]
        found += documents[name]
    left_out = set(row.get("excluded_function", []))
    return [function for function in found if function["name"] not in left_out]


# --- schemas ---------------------------------------------------------------------------------------------------------


def tool_schema(function: Any, origin: str) -> dict[str, Any]:
    """Turn a BFCL function into an OpenAI tool schema. Raises InputError where that is impossible."""
    if not isinstance(function, Mapping):
        raise InputError(f"{origin}: function is {describe(function)}, accepted: an object")
    kept = {key: function[key] for key in ("name", "description") if key in function}
    return check_schema({**kept, "parameters": json_schema(function.get("parameters", {"type": "dict"}))}, origin)


# --- accepted calls --------------------------------------------------------------------------------------------------


def first_accepted(truth: Sequence[Mapping[str, Any]], schemas: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    """Build one call for each answer from the first accepted values, without optional arguments."""
    required = {s["function"]["name"]: s["function"]["parameters"].get("required", []) for s in schemas}
    calls = []
    for answer in truth:
        ((name, options),) = answer.items()
        calls.append(ToolCall(name, _arguments(options, required.get(name, []))))
    return calls


def _arguments(options: Mapping[str, list[Any]], required: Sequence[str] = ()) -> dict[str, Any]:
    """`""` among the accepted values says that the argument may be left out; it is a value where there is no other."""
    arguments = {}
    for name, accepted in options.items():
        values = [value for value in accepted if value != ""]
        if name in required or "" not in accepted:
            arguments[name] = _value(values[0] if values else "")
    return arguments


def _value(value: Any) -> Any:
    """Objects hold a list of accepted values for each key."""
    if isinstance(value, Mapping):
        return _arguments({key: below if isinstance(below, list) else [below] for key, below in value.items()})
    return [_value(item) if isinstance(item, Mapping) else item for item in value] if isinstance(value, list) else value


def _multi_turn_calls(truth: Any, schemas: Sequence[Mapping[str, Any]], place: str) -> list[ToolCall]:
    """The calls of all turns, from Python call texts such as `cd(folder='workspace')`."""
    positions = {s["function"]["name"]: list(s["function"]["parameters"]["properties"]) for s in schemas}
    return [parse_call(text, positions, place) for turn in truth for text in turn]


def parse_call(text: str, positions: Mapping[str, Sequence[str]], place: str) -> ToolCall:
    """Parse a call with literal arguments; positional ones take the schema's order. Raises InputError."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if not isinstance(node, ast.Call):
            raise ValueError("no call")
        name = ast.unparse(node.func)
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
        given = [ast.literal_eval(argument) for argument in node.args]
        return ToolCall(name, {**dict(zip(positions.get(name, ()), given, strict=False)), **named})
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{place}: {text[:80]!r} is not a call with literal arguments: {error}") from None
