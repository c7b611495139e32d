"""Type hints that take more than JSON values: their schemas, and arguments read as what they say. Uses pydantic.

Runs inside worker processes only, which load this file by its path when a tool has such a hint: no mentor import. Enums
come by value, dates as ISO text, dataclasses, TypedDicts and models as objects, tuples and sets as arrays.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import pydantic
import typing_extensions
from pydantic.fields import FieldInfo

if sys.version_info < (3, 12):  # pydantic reads no other TypedDict there; the source imports it after this
    typing.TypedDict = typing_extensions.TypedDict

pydantic.TypeAdapter(list[int]).json_schema()  # the first use imports most of pydantic: once, before workers are forked

Schema = dict[str, Any]


class HintError(ValueError):
    """A hint that cannot be used; `parameter` has it."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(reason)
        self.parameter = parameter


class ArgumentReader:
    """Reads the arguments of one tool. parameters: those that it converts; the others pass unchanged.

    Raises HintError where a hint names what does not exist or pydantic cannot read it.
    """

    def __init__(self, function: Callable[..., Any], parameters: Iterable[str]) -> None:
        signature = inspect.signature(function).parameters
        self.adapters: dict[str, pydantic.TypeAdapter[Any]] = {}
        self.fields: dict[str, FieldInfo] = {}  # of parameters whose default is one
        self.required = [name for name in parameters if signature[name].default is inspect.Parameter.empty]
        self.described: dict[str, str] = {}
        for name in parameters:
            try:
                hint = typing.get_type_hints(function, include_extras=True)[name]
                default = signature[name].default
                if isinstance(default, FieldInfo):
                    hint, self.fields[name] = Annotated[hint, default], default
                self.adapters[name] = pydantic.TypeAdapter(hint)
            except Exception as error:  # of the hint's own code as well
                raise HintError(name, _short(error)) from error
            said = [
                getattr(entry, "documentation", entry) for entry in getattr(hint, "__metadata__", ())
            ]  # of Doc(...)
            texts = [text for text in said if isinstance(text, str)]
            if texts:
                self.described[name] = texts[0]
        self.required += [name for name, field in self.fields.items() if field.is_required()]

    def describe(self) -> Schema:
        """Return the `properties`, `required` and `$defs` of the converted parameters."""
        properties: dict[str, Schema] = {}
        kept: dict[str, Schema] = {}
        for name, adapter in self.adapters.items():
            try:
                schema = adapter.json_schema()
            except pydantic.errors.PydanticInvalidForJsonSchema as error:
                raise HintError(name, _short(error)) from error
            definitions = schema.pop("$defs", {})
            endless = {key for key in definitions if key in _reached(definitions[key], definitions)}
            kept |= {key: _written(definitions[key], definitions, endless) for key in sorted(endless)}
            properties[name] = _written(schema, definitions, endless)
            properties[name] |= {"description": self.described[name]} if name in self.described else {}
        return {"properties": properties, "required": self.required, "$defs": kept}

    def read(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments with the converted ones in place. Raises ValueError with what does not fit."""
        read = dict(arguments)
        for name, adapter in self.adapters.items():
            if name in arguments:
                try:
                    read[name] = adapter.validate_python(arguments[name])
                except pydantic.ValidationError as error:
                    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
                    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
                    raise ValueError(f"argument {name + place!r}: {first['msg']}") from None
            elif name in self.fields:
                read[name] = self.fields[name].get_default(call_default_factory=True)
        return read


def _written(schema: Any, definitions: dict[str, Schema], endless: set[str]) -> Any:
    """The schema without titles and with definitions in place, but for those that hold themselves."""
    if isinstance(schema, list):
        return [_written(below, definitions, endless) for below in schema]
    if not isinstance(schema, dict):
        return schema
    name = _referred(schema)
    if name is not None and name not in endless:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _written({**definitions[name], **beside}, definitions, endless)
    written: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            written[key] = {below: _written(of, definitions, endless) for below, of in value.items()}
        elif key in ("default", "const", "enum", "examples", "required"):
            written[key] = value
        elif key not in ("title", "discriminator"):  # OpenAPI's discriminator names definitions that are gone
            written[key] = _written(value, definitions, endless)
    return written


def _referred(schema: Schema) -> str | None:
    reference = schema.get("$ref")
    return reference.rpartition("/")[2] if isinstance(reference, str) else None


def _reached(schema: Any, definitions: dict[str, Schema]) -> set[str]:
    """The names of all definitions that a schema refers to, also through others."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        below = waiting.pop()
        if isinstance(below, dict):
            name = _referred(below)
            if name is not None and name not in found:
                found.add(name)
                waiting.append(definitions[name])
            waiting.extend(below.values())
        elif isinstance(below, list):
            waiting.extend(below)
    return found


def _short(error: Exception) -> str:
    """The first line of an error, with its type where it is not pydantic's."""
    first = (str(error).splitlines() or [""])[0][:200]
    return first if isinstance(error, pydantic.errors.PydanticErrorMixin) else f"{type(error).__name__}: {first}"
