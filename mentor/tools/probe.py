"""Calls every tool once with arguments made from its schema, to find a toolset that cannot work before a run does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mentor.tools.executor import ToolExecutor
from mentor.types import CallError, ToolResult

EXAMPLES: dict[str, Any] = {
    "string": "text",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "null": None,
}
FORMATS = {
    "date": "2024-01-31",
    "date-time": "2024-01-31T12:00:00",
    "time": "12:00:00",
    "duration": "PT1H",
    "uuid": "00000000-0000-0000-0000-000000000000",
}
BROKEN = (CallError.TIMEOUT, CallError.MEMORY, CallError.CRASH)
"""Errors that show a broken tool; an exception may only mean that made-up arguments make no sense."""


@dataclass(frozen=True)
class Probe:
    """One tool, the arguments it was called with, and what came of it."""

    name: str
    arguments: dict[str, Any]
    result: ToolResult

    @property
    def broken(self) -> bool:
        return self.result.error in BROKEN

    def __str__(self) -> str:
        ending = "" if self.result.error is None else f" ({self.result.error.value})"
        text = self.result.text if len(self.result.text) <= 80 else f"{self.result.text[:80]}..."
        return (
            f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.arguments.items())}) -> {text!r}{ending}"
        )


async def probe_tools(executor: ToolExecutor) -> list[Probe]:
    """Call each tool of an open executor once, each in a new session."""
    probes = []
    for schema in executor.toolset.schemas:
        function = schema["function"]
        arguments = example_arguments(function["parameters"])
        probes.append(Probe(function["name"], arguments, await executor.call(function["name"], arguments)))
    return probes


def example_arguments(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Make the smallest arguments that a schema of type object accepts."""
    properties, definitions = parameters.get("properties", {}), parameters.get("$defs", {})
    return {name: example(properties.get(name, {}), definitions) for name in parameters.get("required", [])}


def example(schema: Any, definitions: Mapping[str, Any], depth: int = 0) -> Any:
    """Make a value of a JSON schema; rarer keywords such as `pattern` are ignored."""
    if not isinstance(schema, Mapping) or depth > 8:
        return EXAMPLES["string"]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return example(definitions.get(str(schema["$ref"]).rpartition("/")[2], {}), definitions, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return example(schema[key][0], definitions, depth + 1)
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: example(properties.get(name, {}), definitions, depth + 1) for name in schema.get("required", [])}
    if kind == "array" and "prefixItems" in schema:
        return [example(below, definitions, depth + 1) for below in schema["prefixItems"]]
    if kind == "array":
        return [example(schema.get("items", {}), definitions, depth + 1)] * max(1, schema.get("minItems", 1))
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
        value = EXAMPLES[kind] if low is None else low + ("exclusiveMinimum" in schema)
        return value if high is None else min(value, high)
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    if kind == "string":
        return EXAMPLES["string"].ljust(schema.get("minLength", 0), "t")[: schema.get("maxLength")]
    return EXAMPLES.get(kind)
