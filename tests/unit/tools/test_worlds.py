"""Made-up tools: their names, their schemas and what they return."""

import json
import random
from collections import Counter
from dataclasses import replace

import pytest

from mentor.calls.schemas import check_schema
from mentor.tools.worlds import WorldTool, draw_value, draw_world, spoken, written

TOTAL = WorldTool("weigh_stone", "weigh", "stone", "total", {"type": "object"}, (), None, False, "key")
RECORD = replace(TOTAL, returns="record", attributes=("level", "mark"), whole_ids=True)


@pytest.fixture(scope="module")
def worlds():
    return [draw_world(f"test/{index}") for index in range(300)]


def test_a_world_has_three_to_eight_tools_of_different_names(worlds):
    assert {len(tools) for tools in worlds} == set(range(3, 9))
    assert all(len({tool.name for tool in tools}) == len(tools) for tools in worlds)
    assert draw_world("test/0") == worlds[0] != draw_world("other/0")


def test_worlds_share_names_of_tools_by_chance_alone(worlds):
    names = Counter(tool.name for tools in worlds for tool in tools)
    assert sum(count > 1 for count in names.values()) <= 3  # of some 1,650


def test_schemas_are_valid_and_of_every_kind(worlds):
    assert [check_schema(tool.schema, "world") == tool.schema for tool in worlds[0]] == [True] * len(worlds[0])
    schemas = [tool.schema["function"] for tools in worlds for tool in tools]
    text = json.dumps(schemas)
    kinds = ('"enum"', '"anyOf"', '["string", "null"]', '"$ref"', '"$defs"', '"detail"', '"items": {"type": "object"')
    assert [kind for kind in kinds if kind not in text] == []
    assert any(set(schema["parameters"]["properties"]) > set(schema["parameters"]["required"]) for schema in schemas)


@pytest.mark.parametrize(
    ("style", "name"),
    [
        ("snake", "find_unit_price"),
        ("camel", "findUnitPrice"),
        ("kebab", "find-unit-price"),
        ("dotted", "find.unit.price"),
    ],
)
def test_a_name_is_written_in_a_style_and_spoken_as_its_words(style, name):
    assert written(["find", "unit", "price"], style) == name
    assert spoken(name) == "find unit price"


def test_a_total_is_the_sum_of_all_numbers_in_the_arguments():
    assert TOTAL.run({"a": 2, "b": [0.1, 0.2], "c": {"d": 3.7, "e": "9"}, "f": True, "g": None}) == 6
    assert TOTAL.run({"a": 2.5}) == 2.5


def test_a_record_depends_on_the_arguments_alone():
    record = RECORD.run({"a": 1, "b": "x"})
    assert list(record) == ["id", "level", "mark"] and 1000 <= record["id"] <= 9999
    assert RECORD.run({"b": "x", "a": 1}) == record != RECORD.run({"a": 2, "b": "x"})


def test_a_value_is_one_of_those_that_the_schema_accepts():
    rng = random.Random(0)
    assert {draw_value({"enum": ["a", "b"]}, {}, rng) for _ in range(20)} == {"a", "b"}
    nullable = {"anyOf": [{"$ref": "#/$defs/P"}, {"type": "null"}]}
    drawn = [draw_value(nullable, {"P": {"type": "boolean"}}, rng) for _ in range(40)]
    assert set(drawn) == {True, False, None}
