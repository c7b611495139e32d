"""JSON read the same at any depth of the stack."""

import sys
import threading

import pytest

from mentor.chat.json_text import MAX_DEPTH, TOO_DEEP, read_json, value_end


def nested(depth: int) -> str:
    return '{"a":' * (depth - 1) + "[]" + "}" * (depth - 1)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])
def test_deep_nesting_is_refused_with_one_text_on_every_thread(depth):
    said = []

    def read() -> None:
        try:
            read_json(nested(depth))
        except ValueError as error:
            said.append(str(error))

    def at_depth(frames: int) -> None:
        at_depth(frames - 1) if frames else read()

    read()
    at_depth(sys.getrecursionlimit() // 2)
    thread = threading.Thread(target=at_depth, args=(300,))
    thread.start()
    thread.join()
    assert said == [TOO_DEEP] * 3


def test_what_is_not_deep_is_read():
    assert read_json(nested(MAX_DEPTH))["a"]
    wide = "[" + ",".join(['{"a": "[[{"}'] * 500) + "]"
    assert len(read_json(wide)) == 500
    assert value_end(f"x {wide} rest {wide}", 2) == 2 + len(wide)


@pytest.mark.parametrize("text", ["NaN", "1e999", r'"\ud800"', "{", "", "9" * 5000, '["' + "[" * 200])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011
        read_json(text)
