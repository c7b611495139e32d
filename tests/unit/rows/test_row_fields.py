"""Fields of a row: keys and paths, answers in several shapes, and how a value is described."""

import json

import pytest

from mentor.errors import InputError
from mentor.rows import answer_field, describe, json_field, parse_row, text_field, value_field, without_nulls


@pytest.mark.parametrize(
    "line, reason",
    [
        (r'{"question": "\ud800", "answer": "1"}', "half of a surrogate pair"),
        ('{"question": "q", "answer": ' + "9" * 5000 + "}", "4300 digits"),
    ],
)
def test_json_that_python_cannot_hold_or_write_is_bad_input(line: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_row(line, "rows.jsonl:1")


def test_an_integer_too_large_for_a_float_is_an_answer() -> None:
    assert answer_field({"answer": 10**400}, "answer", "rows.jsonl:1") == (str(10**400),)


def test_fields_and_how_a_value_is_described():
    assert text_field({"q": " a "}, "q", "f:1") == " a "
    assert answer_field({"a": [" x ", 2, 2.0, 2.5]}, "a", "f:1") == ("x", "2", "2", "2.5")
    assert json_field("[1]", "f:1: calls", "a list") == [1]
    with pytest.raises(InputError, match=r'^f:1: calls is a string \("\["\): not JSON .*, accepted: a list$'):
        json_field("[", "f:1: calls", "a list")
    assert without_nulls({"a": None, "b": [{"c": None, "d": 0}]}) == {"b": [{"d": 0}]}
    assert [describe(value) for value in (None, True, {"k": "é"})] == [
        "null",
        "a boolean (true)",
        'an object ({"k": "é"})',
    ]
    assert describe("x" * 50) == 'a string ("' + "x" * 39 + "…)"


def test_a_path_leads_through_objects_lists_and_json_text():
    row = {
        "a.b": 1,
        "a": {"b": 2, "c": {"d": [{"e": "x"}]}},
        "text": json.dumps({"inner": {"question": "q"}}),
        "words": "no {json}",
    }
    assert value_field(row, "a.b", "f:1") == 1, "a key that has dots itself comes first"
    assert value_field(row, "a.c.d.0.e", "f:1") == "x"
    assert text_field(row, "text.inner.question", "f:1") == "q"
    for key in ("a.x", "a.c.d.1.e", "a.c.d.e", "words.json", "b"):
        with pytest.raises(InputError, match=f"^f:1: no key '{key}', given: 'a.b', 'a', 'text', 'words'$"):
            value_field(row, key, "f:1")


@pytest.mark.parametrize(
    ("value", "answers"),
    [
        ({"target": ["Ada Weir", "A. Weir"]}, ("Ada Weir", "A. Weir")),
        ({"target": "Ada"}, ("Ada",)),
        ('{"target": ["Ada", 7]}', ("Ada", "7")),
        ([{"target": ["Ada"]}], ("Ada",)),
        ({"ground_truth": {"target": ["Ada"]}}, ("Ada",)),
        ({"value": "Oslo", "aliases": ["Christiania", "Oslo"]}, ("Oslo", "Christiania")),
        ({"text": ["a", "b"], "answer_start": [1, 2]}, ("a", "b")),
        ("{1, 2}", ("{1, 2}",)),
        ('{"v": 1}', ('{"v": 1}',)),
    ],
)
def test_answers_in_objects(value, answers):
    assert answer_field({"answer": value}, "answer", "f:1") == answers


@pytest.mark.parametrize("value", [{"v": 1}, {"target": []}, {"target": [None]}, {}, [{"v": 1}]])
def test_an_object_without_answers_is_refused(value):
    with pytest.raises(InputError, match=r"^f:1: answer(\.target)? is "):
        answer_field({"answer": value}, "answer", "f:1")
