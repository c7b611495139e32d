"""What a worker makes of a function's value and of its errors."""

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from mentor.rewards.function_worker import BadValue, load, place, plain, serve
from mentor.rewards.own_function import SIZE
from tests.fixtures.own_rewards import RAISES, write_rewards
from tests.unit.rewards.builders import HONEST, make_trajectory


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, 1.0), (True, 1.0), (np.float32(0.5), 0.5), (np.array(2), 2.0), ({"a": 1, "b": np.int64(3)}, {"a": 1, "b": 3})],
)
def test_numbers_of_any_kind_are_floats(value, number):
    assert plain(value) == number


BAD = (None, "1", float("nan"), [1.0], {}, {"a": None}, {"a b": 1}, {1: 1}, np.array([1, 2]))


@pytest.mark.parametrize("value", BAD)
def test_anything_else_is_no_value(value):
    with pytest.raises((BadValue, ValueError)):
        plain(value)


def test_requests_are_answered_in_order_and_an_error_has_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_rewards(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # what `load` adds goes with it
    file = Path("my_rewards.py")
    requests = b""
    for trajectory in (make_trajectory(), make_trajectory(calls=HONEST)):
        content = pickle.dumps(trajectory)
        requests += SIZE.pack(len(content)) + content
    found = []
    for function in ("brief", "raises"):
        replies = io.StringIO()
        serve(io.BytesIO(requests), replies, *load(file, function), file)
        found += [json.loads(line) for line in replies.getvalue().splitlines()]
    assert found[:2] == [{"value": 1.0}, {"value": pytest.approx(1 / 3)}]
    failure = {"failure": RAISES, "kind": "exception"}
    assert found[2:] == [failure] * 2
    assert place(ValueError("not of the file"), file) == ""
