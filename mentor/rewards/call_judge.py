"""Judge calls by the rules of the Berkeley Function Calling Leaderboard (v4, Python): gold calls, calls -> verdict.

The verdicts and their codes are those of the official checker (PyPI `bfcl-eval` 2026.3.23) for a model whose names keep
their dots, oddities included; docs/benchmarks.md lists them. Nothing is executed.
"""

from __future__ import annotations

import reprlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mentor.types import CallError, GoldCalls, Trajectory

PYTHON_TYPES: dict[str, type] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": str,
}
OMITTED = ""  # among the accepted values of an argument: it may be left out
IGNORED = str.maketrans("'", '"', " ,./-_*^")  # of a string, besides its case

MALFORMED = "ast_decoder:decoder_wrong_output_format"
CALLED = "irrelevance_error:decoder_success"
UNCALLED = "relevance_error:decoder_failed"
WRONG_NAME = "simple_function_checker:wrong_func_name"
MISSING_REQUIRED = "simple_function_checker:missing_required"
MISSING_OPTIONAL = "simple_function_checker:missing_optional"
UNEXPECTED = "simple_function_checker:unexpected_param"
NO_MATCH = "parallel_function_checker_no_order:cannot_find_match"
WRONG_TYPE = "type_error:simple"
WRONG_ITEM_TYPE = "type_error:nested"
WRONG_VALUE = "value_error:others"
WRONG_STRING = "value_error:string"
WRONG_LIST = "value_error:list/tuple"
WRONG_KEY = "value_error:dict_key"
WRONG_DICT_VALUE = "value_error:dict_value"
WRONG_DICT_COUNT = "value_error:list_dict_count"
NO_DICT = "dict_checker:unclear"
NO_DICT_LIST = "list_dict_checker:unclear"
UNDECIDED = "undecided"
NO_TURN = "no_turn"
"""The two codes that are not the official checker's: there it ends in an exception, and there was nothing to judge."""

Arguments = dict[str, Any]


@dataclass(frozen=True)
class CallsVerdict:
    """error_type is the official code, None when valid; `why` says it in words, empty when valid."""

    valid: bool
    error_type: str | None = None
    why: str = ""


class _Wrong(Exception):
    """The calls are not accepted."""

    def __init__(self, error_type: str, why: str) -> None:
        self.error_type, self.why = error_type, why


class _Undecided(Exception):
    """The official checker raises."""


def calls_verdict(trajectory: Trajectory) -> CallsVerdict:
    """Judge the calls of a trajectory whose task has gold calls."""
    gold = trajectory.task.gold
    assert gold is not None
    if not trajectory.turns:
        return CallsVerdict(False, NO_TURN, "the prompt left no room for a turn")  # not even "no call" was said
    calls = [
        {"name": call.name, "arguments": None if call.error is CallError.MALFORMED else call.arguments}
        for call in trajectory.calls
    ]
    return judge_calls(gold, calls)


def judge_calls(gold: GoldCalls, calls: Any) -> CallsVerdict:
    """Judge one output.

    calls: any JSON value; a list of `{name, arguments}` in the order of the output is well formed. Never raises for
    `calls`.
    """
    output = _well_formed(calls)
    try:
        if gold.category in ("irrelevance", "relevance"):
            _any_call(gold.category == "relevance", output)
        elif output is None:
            raise _Wrong(MALFORMED, "the output is not a list of calls, each a name with an object of arguments")
        else:
            _all_calls(gold.category, gold.functions, gold.accepted, output)
    except _Wrong as wrong:
        return CallsVerdict(False, wrong.error_type, wrong.why)
    except _Undecided as raised:
        return CallsVerdict(False, UNDECIDED, f"the official checker raises: {raised}")
    return CallsVerdict(True)


def _well_formed(calls: Any) -> list[tuple[Any, Arguments]] | None:
    """Names with arguments; None where any of the calls, or the whole, has another form."""
    if not isinstance(calls, list):
        return None
    output = []
    for call in calls:
        if not isinstance(call, dict) or "name" not in call or not isinstance(call.get("arguments"), dict):
            return None
        if not isinstance(call["name"], Hashable):
            return None
        output.append((call["name"], call["arguments"]))
    return output


# --- calls -----------------------------------------------------------------------------------------------------------


def _any_call(wanted: bool, output: list[tuple[Any, Arguments]] | None) -> None:
    """Whether there is a call is all that counts. Malformed calls count as none."""
    if output and not wanted:
        raise _Wrong(CALLED, f"{len(output)} calls where no function fits the question")
    if not output and wanted:
        raise _Wrong(UNCALLED, "no call where a function fits the question")


def _all_calls(
    category: str, functions: Sequence[Mapping[str, Any]], truth: Sequence[Any], output: list[tuple[Any, Arguments]]
) -> None:
    expected = 1 if category == "simple" else len(truth)
    if len(output) != expected:
        checker = "parallel_function_checker_no_order" if category == "parallel" else f"{category}_function_checker"
        raise _Wrong(f"{checker}:wrong_count", f"{len(output)} calls, expected {expected}")
    if category == "parallel":
        _parallel(functions, truth, output)
    else:
        name, accepted = _only_call(truth[0])
        _call(functions[0] if category == "simple" else _function(functions, name), accepted, *output[0])


def _parallel(
    functions: Sequence[Mapping[str, Any]], truth: Sequence[Any], output: list[tuple[Any, Arguments]]
) -> None:
    """In any order, but greedy: each answer in turn takes the first call left that fits it."""
    left = list(output)
    for answer in truth:
        name, accepted = _only_call(answer)
        function = _function(functions, name)
        reasons = []
        for place, call in enumerate(left):
            try:
                _call(function, accepted, *call)
            except _Wrong as wrong:
                reasons.append(wrong)
            else:
                del left[place]
                break
        else:
            nearest = next((wrong for wrong in reasons if wrong.error_type != WRONG_NAME), reasons[0])
            raise _Wrong(NO_MATCH, f"no call left fits {name}: {nearest.why}")


def _only_call(answer: Mapping[str, Any]) -> tuple[str, Mapping[str, list[Any]]]:
    return next(iter(answer.items()))


def _function(functions: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    for function in functions:
        if function["name"] == name:
            return function
    raise _Undecided(f"the row has no function {name}")


def _call(function: Mapping[str, Any], accepted: Mapping[str, list[Any]], name: Any, arguments: Arguments) -> None:
    if name != function["name"]:
        raise _Wrong(WRONG_NAME, f"call of {_short(name)}, expected {function['name']}")
    schemas = function["parameters"]["properties"]
    for argument in function["parameters"].get("required", []):
        if argument not in arguments:
            raise _Wrong(MISSING_REQUIRED, f"{argument} is required and left out")
    for argument, value in arguments.items():
        if argument not in schemas or argument not in accepted:
            raise _Wrong(UNEXPECTED, f"{_short(argument)} is not among the arguments of the answer")
        _argument(f"{argument}={_short(value)}", schemas[argument], accepted[argument], value)
    for argument, values in accepted.items():
        if argument not in arguments and OMITTED not in values:
            raise _Wrong(MISSING_OPTIONAL, f"{argument} is left out")


# --- one argument ----------------------------------------------------------------------------------------------------


def _argument(given: str, schema: Mapping[str, Any], accepted: list[Any], value: Any) -> None:
    """given: the argument with its value, for messages."""
    kind = _python_type(schema)
    item_kind = None
    if kind is list:
        if not isinstance(schema.get("items"), Mapping):
            raise _Undecided(f"{given}: the schema of the list says nothing of its items")
        item_kind = _python_type(schema["items"])
    if kind is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            raise _Undecided(f"{given}: too large for a float") from None
    wrong_type = _wrong_type(kind, item_kind, accepted, value)
    if wrong_type is not None:
        item = f" of {schema['items']['type']}" if kind is list else ""
        raise _Wrong(wrong_type, f"{given}, declared as {schema['type']}{item}")
    if _first_type(accepted) not in (None, kind):
        _check_plain(given, accepted, value)
    elif kind is dict:
        _check_dict(given, accepted, value)
    elif item_kind is dict:
        _check_dict_list(given, accepted, value)
    elif kind is str:
        if _standard(value) not in [_standard(text) for text in accepted if type(text) is str]:
            raise _Wrong(WRONG_STRING, f"{given}, accepted: {_short(accepted)}")
    elif kind is list:
        if _standard_items(value) not in [_standard_items(_sized(given, values)) for values in accepted]:
            raise _Wrong(WRONG_LIST, f"{given}, accepted: {_short(accepted)}")
    else:
        _check_plain(given, accepted, value)


def _python_type(schema: Mapping[str, Any]) -> type:
    declared = schema.get("type")
    if not isinstance(declared, str) or declared not in PYTHON_TYPES:
        raise _Undecided(f"the schema has the type {_short(declared)}")
    return PYTHON_TYPES[declared]


def _first_type(accepted: list[Any]) -> type | None:
    """Of the first accepted value; None where the argument may only be left out."""
    return next((type(value) for value in accepted if value != OMITTED), None)


def _wrong_type(kind: type, item_kind: type | None, accepted: list[Any], value: Any) -> str | None:
    """The code, where a value has neither the declared type nor that of the first accepted value.

    The items of a list need the declared type or that of the first item of one accepted list; where any accepted value
    is no list, which the mark of an argument that may be left out is not, they are not looked at.
    """
    given_kind, answer_kind = type(value), _first_type(accepted)
    if given_kind is not kind:
        return None if given_kind is answer_kind else WRONG_TYPE
    if item_kind is None:
        return None
    for values in accepted:
        if type(values) is not list or all(type(item) in (item_kind, _first_type(values)) for item in value):
            return None
    return WRONG_ITEM_TYPE if answer_kind is list else WRONG_TYPE


def _check_plain(given: str, accepted: list[Any], value: Any) -> None:
    if value not in accepted:
        raise _Wrong(WRONG_VALUE, f"{given}, accepted: {_short(accepted)}")


def _check_dict(given: str, accepted: Sequence[Any], value: Any) -> None:
    """One of the accepted objects fits; what is wrong is said of the last one."""
    wrong: _Wrong | None = _Wrong(NO_DICT, f"{given}, accepted: only to leave it out")
    for answer in accepted:
        if answer == OMITTED:
            continue
        if not isinstance(answer, dict) or not isinstance(value, dict):
            raise _Undecided(f"{given}: an object is expected, in the calls and in the answer")
        wrong = _wrong_dict(given, answer, value)
        if wrong is None:
            return
    if wrong is not None:
        raise wrong


def _wrong_dict(given: str, answer: Mapping[str, Any], value: Mapping[str, Any]) -> _Wrong | None:
    """A key that is missing is said before a value that is wrong."""
    wrong = None
    for key, below in value.items():
        if key not in answer:
            wrong = _Wrong(WRONG_KEY, f"{given}: the key {_short(key)} is not in the answer")
            break
        options = _standard_items(_sized(given, answer[key]))
        if _standard(below) not in options:
            wrong = _Wrong(WRONG_DICT_VALUE, f"{given}: {_short(key)} is {_short(below)}, accepted: {_short(options)}")
            break
    for key, options in answer.items():
        if key not in value and OMITTED not in _container(given, options):
            return _Wrong(WRONG_KEY, f"{given}: the key {_short(key)} is left out")
    return wrong


def _check_dict_list(given: str, accepted: Sequence[Any], value: list[Any]) -> None:
    """One of the accepted lists fits, object by object; what is wrong is said of the last one."""
    wrong = _Wrong(NO_DICT_LIST, f"{given}: no value is accepted")
    for answer in accepted:
        if len(value) != len(_container(given, answer)):
            wrong = _Wrong(WRONG_DICT_COUNT, f"{given}: {len(value)} objects, accepted: {_short(accepted)}")
            continue
        try:
            for item, below in zip(value, _sized(given, answer), strict=True):
                _check_dict(given, [below], item)
        except _Wrong as found:
            wrong = found
            continue
        return
    raise wrong


# --- values ----------------------------------------------------------------------------------------------------------


def _standard(value: Any) -> Any:
    """A string without what is ignored in it; any other value as it is."""
    return value.translate(IGNORED).lower() if type(value) is str else value


def _standard_items(values: Sequence[Any]) -> list[Any]:
    """Of a string, its characters: so the mark of what may be left out is the empty list."""
    return [_standard(value) for value in values]


def _container(given: str, answer: Any) -> Any:
    if not isinstance(answer, list | str | dict):
        raise _Undecided(f"{given}: the answer holds {_short(answer)} where a list is expected")
    return answer


def _sized(given: str, answer: Any) -> Sequence[Any]:
    if isinstance(answer, dict) and answer:
        raise _Undecided(f"{given}: the answer holds an object where a list is expected")
    return list(_container(given, answer))


class _Short(reprlib.Repr):
    """Values for messages, however long or deep."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlist, self.maxdict = 4, 60, 60, 6, 6

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() <= 128 else f"an integer of {x.bit_length()} bits"


_short = _Short().repr
