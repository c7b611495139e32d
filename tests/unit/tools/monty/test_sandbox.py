"""Calls in monty's processes: state of sessions, limits, and what lets a process be used again."""

import os
import signal

import pytest

from mentor.errors import ToolError
from mentor.tools.engine import Limits
from mentor.tools.monty.sandbox import LOST, MAX_LIVE, Sandbox, State
from mentor.tools.source import Source
from mentor.types import CallError

TEXT = """
seen = []
total = 0
def add(x, past=[]):
    global total
    total += x
    past.append(x)
    return [total, past, len(seen)]
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
    source = Source("tools", TEXT, ("add", "note", "spin", "wrong", "fill"))
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


def test_globals_and_list_defaults_of_one_session_are_not_those_of_the_next(sandbox):
    for _ in range(3):  # in a process that served the session before
        state = State()
        assert sandbox.run(state, "add", {"x": 5}, keep=True).text == "[5, [5], 0]"
        assert sandbox.run(state, "add", {"x": 2}, keep=True).text == "[7, [5, 2], 0]"
        sandbox.run(state, "note", {"x": 1}, keep=True)
        sandbox.end(state)
    assert sandbox.run(State(), "add", {"x": 1}, keep=False).text == "[1, [1], 0]"


def test_more_sessions_than_processes_keep_what_their_calls_left(sandbox):
    states = [State() for _ in range(MAX_LIVE + 3)]
    for call in (1, 2, 3):
        for number, state in enumerate(states):
            outcome = sandbox.run(state, "add", {"x": number}, keep=True)
            assert outcome.text == f"[{call * number}, [{', '.join([str(number)] * call)}], 0]"
        assert len(sandbox._live) == MAX_LIVE
    for state in states:
        sandbox.end(state)


def test_a_process_that_dies_between_calls_costs_the_last_call(sandbox):
    state = State()
    for x in (1, 2):
        sandbox.run(state, "note", {"x": x}, keep=True)
    os.kill(sandbox._live[state].session.worker_pid, signal.SIGKILL)
    lost = sandbox.run(state, "note", {"x": 3}, keep=True)
    assert lost.error is CallError.CRASH and lost.text.endswith(LOST)
    assert sandbox.run(state, "note", {"x": 4}, keep=True).text == "[1, 4]"
    sandbox.end(state)


def test_a_state_that_could_not_be_stored_is_told_at_the_next_call(sandbox):
    states = [State() for _ in range(MAX_LIVE + 1)]
    sandbox.run(states[0], "note", {"x": 1}, keep=True)
    os.kill(sandbox._live[states[0]].session.worker_pid, signal.SIGKILL)
    for state in states[1:]:
        sandbox.run(state, "note", {"x": 1}, keep=True)
    lost = sandbox.run(states[0], "note", {"x": 2}, keep=True)
    assert lost.error is CallError.CRASH and lost.text.endswith(LOST)
    assert sandbox.run(states[0], "note", {"x": 3}, keep=True).text == "[3]"
    for state in states:
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
