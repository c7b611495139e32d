"""What a user's tool source needs before it is a toolset: its engine, its schemas, and what loading it tells.

The source runs only inside the engine that is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mentor.calls.schemas import Schema, check_schema, short_text
from mentor.errors import ConfigError, InputError, ToolError
from mentor.tools.cpython.cpython_check import check_loads
from mentor.tools.definitions import Definition
from mentor.tools.engine import Limits
from mentor.tools.monty.monty_check import check_runs
from mentor.tools.signatures import ACCEPTED_HINTS, JSON_HINTS, converted_parameters, refused_hint
from mentor.tools.source import Source

ENGINES = ("auto", "monty", "cpython")


def chosen_engine(engine: str, trusted: bool) -> tuple[str, str]:
    """Return the engine of a user's source, `monty` or `cpython`, and why. Raises ConfigError for one not accepted."""
    if engine not in ENGINES:
        raise ConfigError(f"tools.engine={engine} is not accepted: {', '.join(ENGINES)}")
    if trusted and engine == "monty":
        raise ConfigError("tools.engine=monty and tools.trusted=true exclude each other: monty is a sandbox")
    if trusted:
        return "cpython", "trusted: no sandbox"
    return ("cpython", "") if engine == "auto" else (engine, "as tools.engine says")


def given_schemas(path: Path, tools: Mapping[str, Definition], origin: str) -> dict[str, Schema]:
    """Read a JSON list of schemas, by tool. Raises InputError where it is none or names what is no tool of the file."""
    try:
        listed = json.loads(read_text(path, "tools.schemas"))
    except ValueError as error:
        raise InputError(f"tools.schemas={path} is not JSON: {error}") from None
    if not isinstance(listed, list):
        raise InputError(f"tools.schemas={path} is {short_text(listed)}, accepted is a list of tool schemas")
    given: dict[str, Schema] = {}
    for schema in (check_schema(entry, f"tools.schemas={path}") for entry in listed):
        name = schema["function"]["name"]
        if name not in tools or name in given:
            problem = "comes twice" if name in given else f"names no tool of {origin}"
            raise InputError(f"tools.schemas={path}: schema {name!r} {problem}; tools: {', '.join(tools)}")
        given[name] = schema
    return given


def converted_arguments(tools: Mapping[str, Definition]) -> dict[str, list[str]]:
    """Return by tool the parameters that its type hints convert; tools without any are left out."""
    found = {name: converted_parameters(definition) for name, definition in tools.items()}
    return {name: parameters for name, parameters in found.items() if parameters}


def load_source(source: Source, tools: Mapping[str, Definition], engine: str, limits: Limits) -> dict[str, Any]:
    """Load a source in its engine; return what that says of converted parameters, by tool."""
    for name, parameters in source.converted.items() if engine == "monty" else ():
        raise refused_hint(
            name, tools[name], parameters[0], f"accepted with tools.engine=monty are {JSON_HINTS}", source.place
        )
    if engine == "monty":
        check_runs(source, limits)
        return {}
    told = check_loads(source, limits)
    for name, described in told.items():
        if not _is_description(described, source.converted[name]):
            raise ToolError(f"{source.place}: the worker's description of tool {name!r} is none")
        if "problem" in described:
            reason = f"{described['problem']}; accepted are {ACCEPTED_HINTS}"
            raise refused_hint(name, tools[name], described["parameter"], reason, source.place)
    return told


def _is_description(described: Any, parameters: list[str]) -> bool:
    """Whether a worker's word has the shape that `inside/hints.py` gives it."""
    if not isinstance(described, dict):
        return False
    if "problem" in described:
        return isinstance(described["problem"], str) and described.get("parameter") in parameters
    properties, required = described.get("properties"), described.get("required")
    return (
        isinstance(properties, dict)
        and set(properties) == set(parameters)
        and all(isinstance(schema, dict) for schema in properties.values())
        and isinstance(required, list)
        and all(name in parameters for name in required)
        and isinstance(described.get("$defs"), dict)
    )


def read_text(path: Path, what: str) -> str:
    if not path.is_file():
        raise InputError(f"{what} {path} {'is a folder' if path.is_dir() else 'does not exist'}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{what} {path} is not UTF-8 text: byte {error.start}") from None
