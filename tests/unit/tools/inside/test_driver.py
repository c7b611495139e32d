"""How results are written, by the code that workers run."""

import asyncio
from decimal import Decimal

import pytest

from mentor.tools.inside.driver import _mentor_describe, _mentor_driver, _mentor_render


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (24.0, "24"),
        (0.1 + 0.2, "0.30000000000000004"),
        ([1 / 3, 2.0], "[0.3333333333333333, 2]"),
        (1e15, "1000000000000000.0"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (True, "True"),
        (None, "None"),
        ("", '""'),
        ("a\nb", "a\nb"),
        ({"a": [1.0, None, True], 2: "é"}, '{"a": [1, null, true], "2": "é"}'),
        (("x", set()), '["x", []]'),
        (Decimal("1.50"), "1.50"),
    ],
)
def test_rendering(value, shown):
    assert _mentor_render(value, 10_000, None) == shown


def test_significant_digits_of_floats_are_a_toolset_s_choice():
    assert _mentor_render(0.1 + 0.2, 100, 12) == "0.3" and _mentor_render([1 / 3], 100, 4) == "[0.3333]"


def test_an_integer_that_python_does_not_write_is_shown_by_its_length():
    assert _mentor_render(10**4299, 10_000, None) == "1" + "0" * 4299
    assert _mentor_render(10**4300, 10_000, None) == "[integer of about 4301 digits]"


def test_what_is_longer_than_the_limit_is_cut_with_a_mark():
    assert _mentor_render("abcdef", 6, None) == "abcdef"
    assert _mentor_render("abcdef", 5, None) == "abcde ...[cut, 6 characters]"
    assert _mentor_render(list(range(100)), 8, None) == "[0, 1, 2 ...[cut, more than 8 characters]"
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    assert _mentor_render(nested, 4, None) == "[[[[ ...[cut, more than 4 characters]"


def test_a_call_and_how_it_fails():
    async def later():
        return 5

    def wrong():
        raise ValueError("a\n b" + "c" * 400)

    def deep():
        raise RecursionError

    call = _mentor_driver({"later": later, "wrong": wrong, "deep": deep, "plain": lambda x: x}, 2000, None)
    assert asyncio.run(call("later", {})) == ("ok", "5")
    assert asyncio.run(call("plain", {"x": [1]})) == ("ok", "[1]")
    assert asyncio.run(call("wrong", {})) == ("exception", "ValueError: a b" + "c" * 297)
    assert asyncio.run(call("deep", {})) == ("crash", "RecursionError")
    assert _mentor_describe(KeyError()) == "KeyError"
