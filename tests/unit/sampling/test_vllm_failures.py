"""Why an engine failed, from what real processes leave behind."""

import multiprocessing
import os
import queue
import signal
import subprocess
import sys
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from mentor.sampling.vllm_failures import CapturedOutput, fail_waiting_calls, first_sentence, killed_by, short_reason

FORK = multiprocessing.get_context("fork")


def test_the_first_sentence_of_an_error():
    assert first_sentence("Cannot do 1.5 GiB. Try less. Or more.") == "Cannot do 1.5 GiB"
    assert first_sentence("Worker failed with error 'no such file', please check the stack trace") == "no such file"
    assert short_reason(ValueError("1 validation error for X\n  Value error, bad dtype [type=value_error, a=1]\n")) == (
        "bad dtype"
    )
    assert (
        short_reason(ValueError("1 validation error\n  Assertion failed, It is. [type=assertion_error]\n")) == "It is"
    )
    assert short_reason(KeyError()) == "KeyError"


def client_of(process, dead: bool) -> SimpleNamespace:
    """As much of vLLM's client as is asked: its engine's processes and the calls that wait for them."""
    resources = SimpleNamespace(engine_manager=SimpleNamespace(processes=[process]), engine_dead=dead)
    return SimpleNamespace(resources=resources, outputs_queue=queue.Queue(), utility_results={})


def ended(target, *args) -> multiprocessing.Process:
    process = FORK.Process(target=target, args=args)
    process.start()
    process.join()
    return process


def kill_itself(number: int) -> None:
    os.kill(os.getpid(), number)


def test_the_signal_that_ended_an_engine_is_named():
    assert killed_by(client_of(ended(kill_itself, signal.SIGKILL), dead=True)) == "SIGKILL"
    assert killed_by(client_of(ended(kill_itself, signal.SIGKILL), dead=False)) is None
    assert killed_by(client_of(ended(os._exit, 3), dead=True)) is None


def test_calls_that_wait_for_an_engine_that_ended_fail():
    client = client_of(ended(os._exit, 0), dead=False)
    waiting, done = Future(), Future()
    done.set_result(1)
    client.utility_results = {1: waiting, 2: done}
    fail_waiting_calls(client)
    assert client.resources.engine_dead and done.result() == 1
    with pytest.raises(RuntimeError, match="its process has ended"):
        waiting.result()
    assert str(client.outputs_queue.get_nowait()) == "its process has ended"


def test_the_last_error_that_a_child_printed_is_found(capfd):
    output = CapturedOutput()
    assert output.last_error() is None
    with output:
        os.write(1, b"not to be seen\n")
        code = "print('x.KeyError: first', flush=True); raise ValueError('the second one. See elsewhere.')"
        subprocess.run([sys.executable, "-c", code], check=False)
    os.write(1, b"to be seen\n")
    assert output.last_error() == "the second one"
    assert capfd.readouterr().out == "to be seen\n"
