"""The arguments of a tool call against its JSON schema: valid, readable as what was meant, or what is wrong with them.

No message holds the value it is about: it may be huge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry

from mentor.calls.schemas import Schema, short_text

JSON_TYPE_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
PLAIN_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
}
MAX_MESSAGE_CHARS = 300
NUMBER = re.compile(r"[+-]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,3})?", re.ASCII)
MAX_COERCED_CHARS = 2**20
MAX_COERCED_DEPTH = 8


class ArgumentValidator:
    """Validates the arguments of one tool against its `parameters`, compiled once.

    Arguments the schema does not name are refused unless it says `additionalProperties`. A boolean is not a number;
    an integer is a number; a whole float such as 2.0 is an integer and handed on as one.
    """

    def __init__(self, parameters: Schema) -> None:
        schema = {"additionalProperties": False, **parameters}
        self.properties: Schema = parameters.get("properties", {})
        self._validator = Draft202012Validator(schema, registry=Registry())
        self._required = frozenset(parameters.get("required", ()))
        self._plain = _plain_types(parameters)
        self._integers = [name for name, below in self.properties.items() if _is_integer(below)]

    def problem(self, arguments: Any) -> str | None:
        """Say what is wrong with the arguments in one short line; None when nothing is."""
        if self._fits_plainly(arguments):
            return None
        try:
            if self._validator.is_valid(arguments):
                return None
            return self._describe(next(self._validator.iter_errors(arguments)))[:MAX_MESSAGE_CHARS]
        except RecursionError:
            return "arguments are nested too deeply"
        except ValueError:  # the library quotes the value in its own message, which Python refuses past 4,300 digits
            return "arguments hold an integer that is too long"

    def _fits_plainly(self, arguments: Any) -> bool:
        """A quick yes for the schemas that most tools have; no means that the validator decides."""
        if self._plain is None or type(arguments) is not dict or not self._required <= arguments.keys():
            return False
        return all(type(value) in self._plain.get(name, ()) for name, value in arguments.items())

    def coerce(self, arguments: Any) -> tuple[Any, list[str]]:
        """Read arguments that do not fit as they were meant, where their text says so; also return what was read.

        Kinds: `number` (`"3"` for a number or an integer), `boolean` (`"true"`, `"false"`), `json` (a string that
        holds the array or object asked for; also the arguments as a whole). Whether the result fits is not checked.
        """
        kinds: list[str] = []
        return _coerce(arguments, {"type": "object", "properties": self.properties}, kinds), kinds

    def coerced(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Turn whole floats of valid arguments into integers where the schema asks for an integer."""
        whole = {n: int(arguments[n]) for n in self._integers if isinstance(arguments.get(n), float)}
        return {**arguments, **whole} if whole else arguments

    def _describe(self, error: ValidationError) -> str:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
        place = f"argument {path!r}" if path else "arguments"
        rule: Any = error.validator_value
        given: Any = error.instance
        if error.validator == "type":
            accepted = " or ".join(rule) if isinstance(rule, list) else rule
            return f"{place} must be {accepted}, got {_type_name(given)}"
        if error.validator == "required" and isinstance(given, dict):
            missing = [name for name in rule if name not in given]
            return f"{place} lacks {missing[0]!r}" if path else f"missing required argument {missing[0]!r}"
        if error.validator == "additionalProperties" and not path:
            unknown = next(str(name) for name in given if name not in self.properties)
            return f"unexpected argument {unknown[:80]!r}, accepted: {', '.join(self.properties) or 'none'}"
        if error.validator == "enum":
            return f"{place} must be one of {short_text(rule)}"
        return f"{place} does not fit the schema ({error.validator}: {short_text(rule)})"


def _plain_types(parameters: Schema) -> dict[str, tuple[type, ...]] | None:
    """The Python types of every argument's values, where the schema says nothing but such types."""
    if not set(parameters) <= {"type", "properties", "required"}:
        return None
    plain = {}
    for name, schema in parameters.get("properties", {}).items():
        silent = isinstance(schema, Mapping) and set(schema) - {"description", "title", "default"} == {"type"}
        types = _types(schema) if silent else set()
        if types and types <= PLAIN_TYPES.keys():
            plain[name] = tuple(kind for word in types for kind in PLAIN_TYPES[word])
    return plain


def _coerce(value: Any, schema: Any, kinds: list[str], depth: int = 0) -> Any:
    """`value` with strings read as what `schema` asks for; appends the kind of each."""
    if not isinstance(schema, Mapping) or depth > MAX_COERCED_DEPTH:
        return value
    types = _types(schema)
    if isinstance(value, str) and "string" not in types and len(value) <= MAX_COERCED_CHARS:
        value = _read(value, types, kinds)
    if isinstance(value, list) and "items" in schema:
        return [_coerce(item, schema["items"], kinds, depth + 1) for item in value]
    if isinstance(value, dict) and isinstance(schema.get("properties"), Mapping):
        below = schema["properties"]
        return {name: _coerce(item, below.get(name), kinds, depth + 1) for name, item in value.items()}
    return value


def _types(schema: Mapping[str, Any]) -> set[str]:
    """The types a schema accepts, through `anyOf`; empty when it does not say."""
    if isinstance(schema.get("anyOf"), list):
        return {kind for below in schema["anyOf"] if isinstance(below, Mapping) for kind in _types(below)}
    kinds = schema.get("type", [])
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _read(text: str, types: set[str], kinds: list[str]) -> Any:
    """What a string holds, if that is among `types`; else the string."""
    stripped = text.strip()
    if types & {"number", "integer"} and NUMBER.fullmatch(stripped):
        kinds.append("number")
        return int(stripped) if stripped.lstrip("+-").isdecimal() else float(stripped)
    if "boolean" in types and stripped.lower() in ("true", "false"):
        kinds.append("boolean")
        return stripped.lower() == "true"
    if types & {"array", "object"} and stripped[:1] in ("[", "{"):
        try:
            value = json.loads(stripped)
        except (ValueError, RecursionError):  # it stays what it is, and does not fit
            return text
        if JSON_TYPE_NAMES[type(value)] in types:
            kinds.append("json")
            return value
    return text


def _is_integer(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") in ("integer", ["integer", "null"])


def _type_name(value: Any) -> str:
    return "null" if value is None else JSON_TYPE_NAMES.get(type(value), type(value).__name__)
