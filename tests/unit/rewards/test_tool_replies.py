"""What the reply of a tool in raw text says about its call."""

import pytest

from mentor.rewards.tool_replies import reply_error, reply_name
from mentor.types import CallError

ECHO = '{"name": "divide", "arguments": {"a": 48, "b": 2}}\n'


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        (ECHO + "result: \n24\n", "divide"),
        ('{"name": "divide"}\n24', None),
        ('{"name": 7, "arguments": {}}', None),
        ("24", None),
        ("", None),
        ("[1, 2]", None),
    ],
)
def test_reply_name(reply: str, name: str | None) -> None:
    assert reply_name(reply) == name


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("\n8\n", None),
        ("", None),
        (ECHO, None),  # the released form drops falsy results
        (ECHO + "result: \n24\n", None),
        (ECHO + "output: \nprinted\nresult: \n24", None),
        (ECHO + "error: \ndivision by zero", CallError.EXCEPTION),
        (ECHO + "error: \nf() missing 1 required positional argument: 'b'", CallError.INVALID_ARGUMENTS),
        (ECHO + "error: \nname 'solve' is not defined", CallError.UNKNOWN_TOOL),
        ("Error: no", CallError.EXCEPTION),
        ("ZeroDivisionError: division by zero", CallError.EXCEPTION),
        ("Traceback (most recent call last):\n ...", CallError.EXCEPTION),
        ('{"error": "timeout", "message": "2 s"}', CallError.TIMEOUT),
        ('{"error": null, "value": 3}', None),
        ("Parse tool call failed", CallError.EXCEPTION),
        (ECHO + "result: \nError: division by zero", CallError.EXCEPTION),
        (ECHO + "error: division by zero", CallError.EXCEPTION),
        ("[Tool error] float division by zero", CallError.EXCEPTION),
        ("division by zero", CallError.EXCEPTION),
        ('{"result": "ValueError: math domain error"}', CallError.EXCEPTION),
        ('{"status": "error", "message": "no"}', CallError.EXCEPTION),
        ('{"success": false}', CallError.EXCEPTION),
        ("{'error': None, 'value': 3}", None),
        ("Standard error: 0.05", None),
        ("the errors cancel out", None),
    ],
)
def test_reply_error(reply: str, error: CallError | None) -> None:
    assert reply_error(reply) is error
