"""Calls that stand in an assistant's text: between tags (Hermes), after a mark (Glaive), or as Python (ToolACE).

Each reader returns the text around the calls, and the calls as (name, arguments). A text that begins like a call and is
none raises CallTextError.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from mentor.chat.syntax import HERMES
from mentor.traces.loose_json import NotJsonError, loose_json

Call = tuple[str, dict[str, Any]]

TAG = "<tool_call>"
MARK = "<functioncall>"
_QUOTED = re.compile(r"""\{\s*"name"\s*:\s*"([^"]+)"\s*,\s*"arguments"\s*:\s*'(.*)'\s*\}""", re.DOTALL)
_PYTHON_LIST = re.compile(r"\[\s*[^\s\[\](){}\"',][^\[\](){}\"',]*\(.*\)\s*\]", re.DOTALL)
_CONSTANTS = {"true": "True", "false": "False", "null": "None"}


class CallTextError(ValueError):
    """What is written as a call is none; the message says why."""


def calls_of(value: Any) -> list[Call]:
    """Read one call, or a list of them, from the values that JSON gave. Raises CallTextError."""
    entries = value if isinstance(value, list) else [value]
    if not entries:
        raise CallTextError("holds no call")
    return [call_of(entry) for entry in entries]


def call_of(entry: Any) -> Call:
    """Read `{name, arguments}` or `{function: {name, arguments}}`; arguments as an object, as its text, or none.

    `parameters` is read for `arguments` where there are none. Raises CallTextError.
    """
    function = entry.get("function", entry) if isinstance(entry, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"].strip():
        raise CallTextError(f"is no call with a name: {json.dumps(entry, ensure_ascii=False, default=str)[:60]}")
    name = function["name"].strip()
    others = [key for key in function if key not in ("name", "arguments", "parameters", "id", "type", "index")]
    key = "parameters" if "arguments" not in function and "parameters" in function else "arguments"
    if key not in function and others:
        raise CallTextError(f"call of {name!r} has its arguments under {others[0]!r}, accepted: `arguments`")
    return name, _arguments(function.get(key), name)


def _arguments(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = loose_json(value) if value.strip() else {}
        except NotJsonError as error:
            raise CallTextError(f"arguments of {name!r} are not JSON ({error})") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CallTextError(f"arguments of {name!r} are {json.dumps(value)[:60]}, accepted: an object")
    return value


def tagged_calls(text: str) -> tuple[str, list[Call]]:
    """Read what stands between `<tool_call>` and `</tool_call>`: a call, or a list of them."""
    around: list[str] = []
    calls: list[Call] = []
    position = 0
    for found in HERMES.find(text):
        around.append(text[position : found.start])
        position = found.end
        body = text[found.start : found.end].strip()
        if not body.startswith(TAG) or not body.endswith("</tool_call>"):
            raise CallTextError(found.call.problem or "<tool_call> is not closed")
        calls += _json_calls(body.removeprefix(TAG).removesuffix("</tool_call>"))
    return "".join([*around, text[position:]]).strip(), calls


def marked_calls(text: str) -> tuple[str, list[Call]]:
    """Read Glaive's `<functioncall> {"name": "x", "arguments": '{"a": 1}'}`, whose arguments stand in single quotes."""
    before, *bodies = text.split(MARK)
    calls: list[Call] = []
    for body in bodies:
        body = body.strip().removesuffix("</functioncall>").strip()
        quoted = _QUOTED.fullmatch(body)
        if quoted:
            calls.append((quoted[1], _arguments(quoted[2].replace("\\'", "'"), quoted[1])))
        else:
            calls += _json_calls(body)
    return before.strip(), calls


def python_calls(text: str) -> tuple[str, list[Call]]:
    """Read a whole turn of the form `[first(a=1), Second Tool(b="x")]`; any other text holds no call."""
    text = text.strip()
    if not _PYTHON_LIST.fullmatch(text):
        return text, []
    calls, position, end = [], 1, len(text) - 1
    while position < end:
        opening = text.find("(", position)
        closing = _closing(text, opening)
        calls.append(_python_call(text[position:opening].strip(), text[opening + 1 : closing]))
        rest = re.compile(r"\s*,?\s*").match(text, closing + 1)
        position = rest.end() if rest else end
        if position < end and text.find("(", position) < 0:
            raise CallTextError(f"is no list of calls: {text[position:end][:60]!r}")
    return "", calls


def _json_calls(body: str) -> list[Call]:
    try:
        return calls_of(loose_json(body))
    except NotJsonError as error:
        raise CallTextError(f"is not JSON ({error}): {body.strip()[:60]!r}") from None


def _python_call(name: str, arguments: str) -> Call:
    """Names of tools may hold spaces, so only what stands in the brackets is Python."""
    try:
        node = ast.parse(f"_({arguments})", mode="eval").body
        if not isinstance(node, ast.Call) or node.args or any(keyword.arg is None for keyword in node.keywords):
            raise ValueError("an argument without a name")
        values = {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
        return name, json.loads(json.dumps(values, allow_nan=False))
    except (SyntaxError, ValueError, TypeError, RecursionError) as error:
        raise CallTextError(f"call of {name!r} has no literal arguments ({str(error)[:60]})") from None


def _literal(node: ast.expr) -> Any:
    """A literal, in which true, false and null are JSON's."""
    for below in ast.walk(node):
        if isinstance(below, ast.Name) and below.id in _CONSTANTS:
            below.id = _CONSTANTS[below.id]
    return ast.literal_eval(ast.unparse(node))


def _closing(text: str, opening: int) -> int:
    """Find the bracket that closes the one at `opening`, quotes respected."""
    depth, quote, place = 0, "", opening
    while place < len(text):
        character = text[place]
        if quote:
            place += character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
            if depth == 0:
                return place
        place += 1
    raise CallTextError("its brackets do not close")
