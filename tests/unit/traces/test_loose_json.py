"""JSON text, Python literals, and what is neither."""

import pytest

from mentor.traces.loose_json import NotJsonError, json_text, loose_json


def test_json_comes_first_and_a_python_literal_is_read_as_its_json_value():
    assert loose_json('{"a": true, "b": null}') == {"a": True, "b": None}
    assert loose_json("{'a': True, 'b': None, 'c': (1, 2)}") == {"a": True, "b": None, "c": [1, 2]}
    assert json_text({"ä": 1}) == '{"ä": 1}' and json_text("as it is") == "as it is"


@pytest.mark.parametrize("text", ["", "{", "f(1)", "{1: {2}}", "[NaN]", "{'a': 1e999}", "[" * 2000])
def test_what_is_neither_is_refused(text):
    with pytest.raises(NotJsonError):
        loose_json(text)
