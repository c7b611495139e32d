"""What a stage prints about tools that fail."""

from mentor.tools.call_counts import CallCounts
from mentor.types import CallError


def test_a_failing_tool_is_told_of_once_and_one_that_never_worked_at_the_end():
    told: list[str] = []
    counts = CallCounts(told.append)
    counts.failed(CallError.UNKNOWN_TOOL, "no tool named 'x'", None)
    counts.failed(CallError.INVALID_ARGUMENTS, "missing required argument 'a'", "price")
    counts.failed(CallError.EXCEPTION, "KeyError: 'pear'", "price")
    counts.failed(CallError.TIMEOUT, "no result within 2 s", "price")
    counts.failed(CallError.EXCEPTION, "ZeroDivisionError: division by zero", "share")
    counts.worked("share")
    assert told == [
        "tool price failed: exception: KeyError: 'pear' (said once for each tool)",
        "tool share failed: exception: ZeroDivisionError: division by zero (said once for each tool)",
    ]
    first = "invalid_arguments: missing required argument 'a'"
    assert counts.never_worked() == {"price": f"3 of 3 calls failed, the first: {first}"}
    assert counts.kinds == {"unknown_tool": 1, "invalid_arguments": 1, "exception": 2, "timeout": 1}
