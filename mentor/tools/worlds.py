"""Worlds of made-up tools, for a student to learn from how a tool that it has never seen is read and called.

A world is 3 to 8 tools. Their names are composed of words and syllables and their parameters are of any type, nested,
optional and nullable ones included, all drawn anew: only the listing in the prompt says how a tool is called. What a
tool returns is computed from its arguments by `WorldTool.run`, which stands in for code. `tasks/world_conversations`
asks something of such a world; a perturbed toolset (`perturbed/`) has some of these tools as distractors.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mentor.calls.schemas import Schema

Number = int | float

VERBS = {
    "record": ("find", "get", "fetch", "read", "show", "check", "inspect", "open", "search", "describe"),
    "created": ("add", "create", "register", "book", "order", "reserve", "send", "plan", "store", "move", "start"),
    "total": ("total", "count", "weigh", "price", "measure", "estimate"),
}
"""What a tool returns, with the verbs of its name: a record with an id, the id of something new, or one number."""

WORDS = """
river stone box card field glass paper wood iron copper silver garden harbor market tower bridge train ship wagon
engine signal lamp cable valve filter panel sensor pump motor frame sheet plate bottle barrel crate parcel letter
ticket coin badge seat room hall floor roof door window wall fence gate path road track lane hill lake coast
island forest leaf seed fruit grain bread salt sugar honey cloth wool thread needle button brush paint color song
story page book shelf desk chair clock bell drum horn star moon cloud storm rain snow wind fire smoke spark
""".split()  # noqa: SIM905
LABELS = """
level group mark code grade range base kind label part size weight height depth speed limit rate score rank count
amount unit mode source target owner place zone date hour phase shape style tone note title topic region channel
format priority quality margin offset budget batch row column slot stage step version status reason theme origin
""".split()  # noqa: SIM905
SYLLABLES = "ba ve ri lo nu ka te mi so du fa ze pi jo gu la ne xi ro tu wa he vi do zu ma le ki po".split()  # noqa: SIM905

PLAIN = (("integer", "number", "string", "boolean", "enum"), (0.3, 0.1, 0.3, 0.1, 0.2))  # kinds and their shares
NESTED = (("plain", "nullable", "array", "object", "objects"), (0.72, 0.07, 0.1, 0.07, 0.04))


@dataclass(frozen=True)
class WorldTool:
    """A tool with its JSON schema of arguments.

    returns: a key of VERBS. attributes: the fields of its record beside `id`. identifier: the parameter that takes the
    id of something, if there is one. whole_ids: whether ids are numbers in its world. key: seeds its results.
    """

    name: str
    verb: str
    noun: str
    returns: str
    parameters: Schema
    attributes: tuple[str, ...]
    identifier: str | None
    whole_ids: bool
    key: str

    @property
    def schema(self) -> Schema:
        """The tool in the OpenAI function shape."""
        function = {"name": self.name, "description": f"{self.verb} a {self.noun}", "parameters": self.parameters}
        return {"type": "function", "function": function}

    def run(self, arguments: dict[str, Any]) -> dict[str, Any] | Number:
        """Compute the result: the sum of all numbers in the arguments, or a record that depends on them alone."""
        if self.returns == "total":
            total = round(sum(_numbers(arguments)), 2)
            return int(total) if isinstance(total, float) and total.is_integer() else total
        rng = random.Random(f"{self.key}/{self.name}/{json.dumps(arguments, sort_keys=True)}")
        record: dict[str, Any] = {"id": draw_id(self.whole_ids, rng)}
        for attribute in self.attributes:
            record[attribute] = draw_value({"type": rng.choice(("integer", "number", "string"))}, {}, rng)
        return record


def shown_result(result: dict[str, Any] | Number) -> str:
    """Write a result as the model is shown it."""
    return json.dumps(result, ensure_ascii=False) if isinstance(result, dict) else repr(result)


def draw_world(key: str) -> list[WorldTool]:
    """Draw the 3 to 8 tools of a world, the same for the same key; no two have one name."""
    rng = random.Random(f"world/{key}")
    nouns = [draw_word(rng) + draw_word(rng) for _ in range(rng.randint(2, 4))]
    style, prefix = rng.choice(("snake", "snake", "camel", "kebab", "dotted")), [draw_word(rng)] * (rng.random() < 0.2)
    whole_ids, noun_first = rng.random() < 0.3, rng.random() < 0.25
    tools: dict[str, WorldTool] = {}
    size = rng.randint(3, 8)
    while len(tools) < size:
        returns = rng.choices(tuple(VERBS), (0.5, 0.3, 0.2))[0]
        verb, noun = rng.choice(VERBS[returns]), rng.choice(nouns)
        name = written([*prefix, *((noun, verb) if noun_first else (verb, noun))], style)
        if name in tools:
            continue
        labels = "snake" if style in ("kebab", "dotted") else style
        identifier = written(rng.choice(([rng.choice(nouns), "id"], ["id"])), labels) if rng.random() < 0.4 else None
        attributes = rng.sample(LABELS, rng.randint(2, 3)) if returns == "record" else []
        parameters = _parameters(labels, identifier, whole_ids, returns == "total", rng)
        tools[name] = WorldTool(
            name, verb, noun, returns, parameters, tuple(attributes), identifier, whole_ids, f"{key}/result"
        )
    return list(tools.values())


# --- names -----------------------------------------------------------------------------------------------------------


def written(words: list[str], style: str) -> str:
    """Write words as one name: `snake_case`, `camelCase`, `kebab-case` or `dotted.case`."""
    if style == "camel":
        return words[0] + "".join(word.capitalize() for word in words[1:])
    return {"snake": "_", "kebab": "-", "dotted": "."}[style].join(words)


def spoken(name: str) -> str:
    """Write a name as the words that it is made of: `unitPrice` and `unit_price` as `unit price`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_.-]", " ", name).lower()


def draw_word(rng: random.Random) -> str:
    """A word, or two or three syllables that are none."""
    return rng.choice(WORDS) if rng.random() < 0.6 else "".join(rng.choices(SYLLABLES, k=rng.randint(2, 3)))


def _label(style: str, rng: random.Random) -> str:
    """The name of a parameter or field; its words say nothing of its type."""
    words = (
        rng.sample(LABELS, 2)
        if rng.random() < 0.25
        else [rng.choice(LABELS) if rng.random() < 0.75 else draw_word(rng)]
    )
    return written(words, style)


# --- schemas ---------------------------------------------------------------------------------------------------------


def _parameters(style: str, identifier: str | None, whole_ids: bool, counts: bool, rng: random.Random) -> Schema:
    """The schema of a tool's arguments. counts: with a number that is required."""
    definitions: dict[str, Schema] = {}
    properties: dict[str, Schema] = {}
    if identifier is not None:
        properties[identifier] = {"type": "integer" if whole_ids else "string"}
    required = list(properties)
    least = 1 if counts or identifier is None else 0
    for place in range(max(least, rng.choices((0, 1, 2, 3), (0.1, 0.4, 0.35, 0.15))[0])):
        name = _label(style, rng)
        if name in properties:
            continue
        properties[name] = {"type": "integer"} if counts and not place else _nested(style, definitions, rng)
        if counts and not place or rng.random() < 0.65:
            required.append(name)
    schema: Schema = {"type": "object", "properties": properties, "required": required}
    return schema | ({"$defs": definitions} if definitions else {})


def _nested(style: str, definitions: dict[str, Schema], rng: random.Random) -> Schema:
    """The schema of a parameter. Some objects are put under `definitions` and referred to."""
    match rng.choices(*NESTED)[0]:
        case "nullable":
            kind = {"type": rng.choice(("integer", "string"))}
            return rng.choice(({"anyOf": [kind, {"type": "null"}]}, {"type": [kind["type"], "null"]}))
        case "array":
            return {"type": "array", "items": _plain(rng)}
        case "object":
            return _object(style, definitions, rng)
        case "objects":
            return {"type": "array", "items": _object(style, definitions, rng)}
    return _plain(rng)


def _plain(rng: random.Random) -> Schema:
    kind = rng.choices(*PLAIN)[0]
    return {"enum": rng.sample(WORDS, rng.randint(2, 4))} if kind == "enum" else {"type": kind}


def _object(style: str, definitions: dict[str, Schema], rng: random.Random) -> Schema:
    properties = {_label(style, rng): _plain(rng) for _ in range(rng.randint(1, 3))}
    if rng.random() < 0.15:
        properties["detail"] = {"type": "object", "properties": {_label(style, rng): _plain(rng)}, "required": []}
    required = [name for name in properties if rng.random() < 0.7]
    schema = {"type": "object", "properties": properties, "required": required or list(properties)[:1]}
    if rng.random() > 0.3:
        return schema
    name = f"{draw_word(rng).capitalize()}Part"
    definitions[name] = schema
    return {"$ref": f"#/$defs/{name}"}


# --- values ----------------------------------------------------------------------------------------------------------


def draw_value(schema: Schema, definitions: dict[str, Schema], rng: random.Random) -> Any:
    """Draw a value that fits a schema of this module."""
    if "$ref" in schema:
        return draw_value(definitions[schema["$ref"].rpartition("/")[2]], definitions, rng)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kinds = schema.get("anyOf") or schema["type"]
    if isinstance(kinds, list):
        kind = rng.choices(kinds, (0.7, 0.3))[0]
        return draw_value(kind if isinstance(kind, dict) else {"type": kind}, definitions, rng)
    match kinds:
        case "array":
            return [draw_value(schema["items"], definitions, rng) for _ in range(rng.randint(1, 3))]
        case "object":
            return draw_object(schema, definitions, rng)
        case "integer":
            return rng.randint(2, 999) if rng.random() < 0.5 else rng.randint(2, 40)
        case "number":
            return rng.randint(0, 99) + rng.randint(1, 9) / 10
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
    return rng.choice(
        (draw_word(rng), draw_word(rng).capitalize(), f"{draw_word(rng)} {draw_word(rng)}", draw_id(False, rng))
    )


def draw_object(schema: Schema, definitions: dict[str, Schema], rng: random.Random) -> dict[str, Any]:
    """Draw an object that fits a schema: each field that is not required is there in half of them."""
    return {
        name: draw_value(below, definitions, rng)
        for name, below in schema["properties"].items()
        if name in schema["required"] or rng.random() < 0.5
    }


def draw_id(whole: bool, rng: random.Random) -> str | int:
    """Draw an id: a number of four digits, or letters with a number."""
    letters = "".join(rng.choices("ABCDEFGHKLMNPQRSTVWXYZ", k=2))
    return rng.randint(1000, 9999) if whole else f"{letters}-{rng.randint(10, 999)}"


def _numbers(value: Any) -> Iterator[Number]:
    """Every number in a value, booleans left out."""
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _numbers(below)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value
