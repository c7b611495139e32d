"""Calls in monty's processes: state of sessions, limits, and what lets a process be used again."""

import pytest

from mentor.errors import ToolError
from mentor.tools.engine import Limits
from mentor.tools.monty.sandbox import Sandbox, State
from mentor.tools.source import Source
from mentor.types import CallError

TEXT = """
seen = []
def note(x):
    seen.append(x)
    return seen
def spin():
    while True:
        pass
def wrong():
    raise ValueError("no")
def fill():
    return len("x" * 10**9)
"""


@pytest.fixture(scope="module")
def sandbox():
    source = Source("tools", TEXT, ("note", "spin", "wrong", "fill"))
    with Sandbox(source, Limits(timeout_s=0.2, memory_mib=64)) as sandbox:
        yield sandbox


def test_a_state_holds_what_its_calls_left_and_others_do_not(sandbox):
    state, other = State(), State()
    assert sandbox.run(state, "note", {"x": 1}, keep=True).text == "[1]"
    assert sandbox.run(state, "note", {"x": 2}, keep=False).text == "[1, 2]"
    assert sandbox.run(other, "note", {"x": 3}, keep=True).text == "[3]"
    for ended in (state, other):
        sandbox.end(ended)
    assert not sandbox._live


def test_a_call_that_ran_into_a_limit_changes_nothing(sandbox):
    state = State()
    sandbox.run(state, "note", {"x": 1}, keep=True)
    spin, fill = (sandbox.run(state, name, {}, keep=True) for name in ("spin", "fill"))
    assert (spin.error, spin.text) == (CallError.TIMEOUT, "no result within 0.2 s")
    assert (fill.error, fill.text) == (CallError.MEMORY, "needs more than 64 MiB")
    assert sandbox.run(state, "note", {"x": 2}, keep=True).text == "[1, 2]"
    sandbox.end(state)


def test_calls_without_state_use_a_process_again_after_a_clean_end(sandbox):
    wrong = sandbox.run_stateless("wrong", {})
    assert (wrong.error, wrong.text, len(sandbox._held)) == (CallError.EXCEPTION, "ValueError: no", 1)
    assert sandbox.run_stateless("spin", {}).error is CallError.TIMEOUT and not sandbox._held
    lone = sandbox.run_stateless("note", {"x": "\ud800"})
    assert lone.error is CallError.INVALID_ARGUMENTS and lone.text.startswith("arguments cannot be passed: ")


def test_a_source_that_does_not_load_is_named():
    with (
        pytest.raises(ToolError, match=r"^the sandbox cannot load toolset 'mine': .*"),
        Sandbox(Source("mine", "1 / 0", ()), Limits()),
    ):
        pass
