"""Type hints beyond JSON values: the schema that the model sees, and the value that the tool gets."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Literal, Optional

import pydantic
import pytest
from pydantic import Field
from typing_extensions import Doc

from mentor.tools.inside.hints import ArgumentReader, HintError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


Size = Literal["small", "large"]


class Row(typing.TypedDict, total=False):  # from where a source imports it
    n: int
    day: date


@dataclass
class Item:
    """An item."""

    name: str
    price: float = 1.0


class Order(pydantic.BaseModel):
    items: list[Item]
    note: str = Field("", description="Free text.", max_length=5)


class Node(pydantic.BaseModel):
    children: list[Node] = []


def tool(
    colour: Colour,
    day: Annotated[date, "When."],
    order: Order,
    pair: Annotated[tuple[int, Colour], Doc("Both.")],
    rows: list[Row],
    size: Size = "small",
    old: Optional[Colour] = None,  # noqa: UP045
    either: dict[str, date] | Item | None = None,
    number: int = Field(2, ge=0),
    needed: int = Field(description="Needed."),
    plain: int = 1,
) -> None: ...


COLOUR = {"enum": ["red", "blue"], "type": "string"}
DATE = {"format": "date", "type": "string"}
ITEM = {
    "description": "An item.",
    "properties": {"name": {"type": "string"}, "price": {"default": 1.0, "type": "number"}},
    "required": ["name"],
    "type": "object",
}
NAMES = ["colour", "day", "order", "pair", "rows", "size", "old", "either", "number", "needed"]


def test_schemas_hold_all_that_they_refer_to():
    note = {"default": "", "description": "Free text.", "maxLength": 5, "type": "string"}
    items = {"type": "array", "items": ITEM}
    assert ArgumentReader(tool, NAMES).describe() == {
        "properties": {
            "colour": COLOUR,
            "day": {**DATE, "description": "When."},
            "order": {"type": "object", "properties": {"items": items, "note": note}, "required": ["items"]},
            "pair": {
                "type": "array",
                "prefixItems": [{"type": "integer"}, COLOUR],
                "minItems": 2,
                "maxItems": 2,
                "description": "Both.",
            },
            "rows": {
                "type": "array",
                "items": {"type": "object", "properties": {"n": {"type": "integer"}, "day": DATE}},
            },
            "size": {"enum": ["small", "large"], "type": "string"},
            "old": {"anyOf": [COLOUR, {"type": "null"}]},
            "either": {"anyOf": [{"type": "object", "additionalProperties": DATE}, ITEM, {"type": "null"}]},
            "number": {"default": 2, "minimum": 0, "type": "integer"},
            "needed": {"description": "Needed.", "type": "integer"},
        },
        "required": ["colour", "day", "order", "pair", "rows", "needed"],
        "$defs": {},
    }


def test_a_type_that_holds_itself_keeps_its_definition():
    def walk(node: Node) -> None: ...

    children = {"default": [], "type": "array", "items": {"$ref": "#/$defs/Node"}}
    assert ArgumentReader(walk, ["node"]).describe() == {
        "properties": {"node": {"$ref": "#/$defs/Node"}},
        "required": ["node"],
        "$defs": {"Node": {"type": "object", "properties": {"children": children}}},
    }


def test_arguments_become_what_the_hints_say():
    given = {
        "colour": "red",
        "day": "2024-02-29",
        "order": {"items": [{"name": "a"}]},
        "pair": [1, "blue"],
        "rows": [{"day": "2024-01-01"}],
        "old": None,
        "either": {"name": "b", "price": 2},
        "needed": 5,
        "plain": 7,
    }
    assert ArgumentReader(tool, NAMES).read(given) == {
        "colour": Colour.RED,
        "day": date(2024, 2, 29),
        "order": Order(items=[Item("a")]),
        "pair": (1, Colour.BLUE),
        "rows": [{"day": date(2024, 1, 1)}],
        "old": None,
        "either": Item("b", 2.0),
        "number": 2,
        "needed": 5,
        "plain": 7,
    }


def test_an_argument_that_does_not_fit_is_named():
    reader = ArgumentReader(tool, NAMES)
    with pytest.raises(ValueError, match=r"^argument 'day': Input should be a valid date"):
        reader.read({"day": "2024-02-30"})
    with pytest.raises(ValueError, match=r"^argument 'order\.items\[0\]\.name': Field required"):
        reader.read({"order": {"items": [{}]}})


def test_hints_that_cannot_be_used():
    def unknown(a: Absent) -> None: ...  # noqa: F821

    def foreign(a: object, b: type(pytest)) -> None: ...

    for function, name, reason in [(unknown, "a", "NameError: name 'Absent' is not"), (foreign, "b", "Unable to")]:
        with pytest.raises(HintError, match=reason) as refused:
            ArgumentReader(function, [name])
        assert refused.value.parameter == name
