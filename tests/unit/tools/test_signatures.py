"""Schemas from type hints and docstrings."""

import ast

import pytest

from mentor.errors import InputError
from mentor.tools.definitions import definitions
from mentor.tools.signatures import function_schema, hint_schema, parse_docstring


def schema_of(source: str) -> dict:
    ((name, definition),) = definitions(ast.parse(source)).items()
    return function_schema(name, definition, "tools.py")["function"]


def test_a_function_becomes_its_schema():
    source = '''
async def find(query: str, top: int = 5, *, exact: bool, kind: "Literal['a', 'b'] | None" = None) -> str:
    """Find passages.

    Over two lines.

    Args:
        query (str): What to look for,
            in words: any language.
        top: How many.

    Returns:
        exact: not a parameter description.
    """
'''
    assert schema_of(source) == {
        "name": "find",
        "description": "Find passages. Over two lines.",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to look for, in words: any language."},
                "top": {"type": "integer", "description": "How many."},
                "exact": {"type": "boolean"},
                "kind": {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]},
            },
            "required": ["query", "exact"],
        },
    }


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        ("float", {"type": "number"}),
        ("list", {"type": "array"}),
        ("list[list[float]]", {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
        ("dict[str, int]", {"type": "object", "additionalProperties": {"type": "integer"}}),
        ("typing.Optional[int]", {"type": ["integer", "null"]}),
        ("int | float | None", {"type": ["integer", "number", "null"]}),
        ("Union[List[int], str]", {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "string"}]}),
        ("Literal['x', 3]", {"enum": ["x", 3]}),
        ("Any", {}),
        ("list[Any]", {"type": "array"}),
    ],
)
def test_hints(hint, schema):
    assert hint_schema(ast.parse(hint, mode="eval").body) == schema


def test_a_docstring_without_sections_is_all_description():
    assert parse_docstring("Adds: two numbers.") == ("Adds: two numbers.", {})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(a: int,\n      b): pass", r"tools\.py:2: parameter 'b' of tool 'f' has no type hint"),
        ("def f(*a: int): pass", r"tools\.py:1: parameter 'a' of tool 'f' cannot be passed by name"),
        ("def f(**a: int): pass", "cannot be passed by name"),
        ("def f(a: int, /): pass", "cannot be passed by name"),
    ],
)
def test_functions_that_cannot_be_tools(source, message):
    with pytest.raises(InputError, match=message):
        schema_of(source)
