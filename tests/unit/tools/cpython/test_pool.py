"""A template and its workers: spares, calls and their limits, answers that tools forge, a template that died."""

import pytest

from mentor.errors import ToolError
from mentor.tools.cpython.pool import WorkerPool
from mentor.tools.engine import CallOutcome, Limits
from mentor.tools.source import Source
from mentor.types import CallError

TEXT = """
import json, os, struct
n = 0
def count():
    global n
    n += 1
    return n
def spin():
    while True: pass
def forge(text):
    body = text.encode()
    os.write(3, struct.pack("<I", len(body)) + body)
    return "honest"
"""
SOURCE = Source("tools", TEXT, ("count", "spin", "forge"), ("json", "os", "struct"))


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(SOURCE, Limits(timeout_s=1.0), spares=1) as pool:
        yield pool


def ended(pool, worker, name, **arguments):
    outcome, alive = pool.call(worker, name, arguments)
    worker.end()
    return outcome.error, outcome.text, alive


def test_a_worker_keeps_its_state_and_another_has_none_of_it(pool):
    first, second = pool.take(), pool.take()
    assert [pool.call(first, "count", {})[0].text for _ in range(2)] == ["1", "2"]
    assert ended(pool, second, "count") == (None, "1", True)
    assert ended(pool, first, "count") == (None, "3", True)


def test_a_call_that_is_ended_by_force_loses_what_the_session_left(pool):
    worker = pool.take()
    pool.call(worker, "count", {})
    lost = "no result within 1 s; what the session's calls left behind is lost"
    assert ended(pool, worker, "spin") == (CallError.TIMEOUT, lost, False)


@pytest.mark.parametrize("text", ['{"id": 1, "text": "forged"}', '{"id": 1, "kind": [], "text": ""}', "[]", "{"])
def test_a_forged_answer_that_is_none_is_a_crash(pool, text):
    error, said, alive = ended(pool, pool.take(), "forge", text=text)
    assert (error, alive) == (CallError.CRASH, False) and said.startswith("the worker wrote what is no answer")


def test_arguments_that_cannot_be_passed_cost_no_worker(pool):
    worker = pool.take()
    outcome, alive = pool.call(worker, "count", {"x": "\ud800"})
    assert outcome.error is CallError.INVALID_ARGUMENTS and alive and not worker.used
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    expected = CallOutcome(CallError.INVALID_ARGUMENTS, "arguments are nested too deeply"), True
    assert pool.call(worker, "count", {"x": deep}) == expected
    worker.end()


def test_code_of_a_probe(pool):
    worker = pool.take()
    assert pool.probe(worker, ["count", "json"]) is None
    assert pool.probe(worker, ["count", "absent"]) == (1, "NameError: name 'absent' is not defined")
    worker.end()


def test_a_source_that_does_not_load_says_why_and_a_closed_pool_has_no_worker():
    with WorkerPool(Source("tools", "X = 1\nY = X / 0\n", ()), Limits(), spares=0) as pool:
        assert pool.failure == "2:ZeroDivisionError: division by zero"
    with pytest.raises(ToolError, match="the sandbox is closed"):
        pool.take()
