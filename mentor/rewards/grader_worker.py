"""A grader process: one JSON request a line on stdin, one JSON verdict a line on stdout. No torch here.

Started by `grader_pool.py` as `python -m mentor.rewards.grader_worker`. It ends with its stdin. A judgement that
outlives its parent is ended by a limit on processor time. Memory is limited, so that a tower of powers fails instead of
filling the machine.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Iterable
from typing import Any, TextIO

MEMORY_BYTES = 2 * 2**30  # address space of one grader process


def main() -> None:
    replies = _private_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, hard))
    logging.disable(logging.CRITICAL)  # math-verify logs every answer that it cannot read
    from mentor.rewards.symbolic import JUDGES

    for judge in JUDGES.values():
        judge("\\frac{1}{2}", ["x+1"], 120.0)  # builds its parsers before the first clock runs
    _send(replies, {"ready": True})
    serve(sys.stdin, replies)


def serve(requests: Iterable[str], replies: TextIO) -> None:
    """Answer each request with one line, in order. A judgement that outlives its limit ends the process."""
    from mentor.rewards.symbolic import JUDGES

    for line in requests:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, 2 * request["limit_s"] + 1)  # left at its default action: the process ends
        reply = _judge(JUDGES[request["judge"]], request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(replies, reply)


def _judge(judge: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return the verdict, or None and the name of the exception."""
    try:
        return {"verdict": judge(request["prediction"], request["accepted"], request["limit_s"])}
    except Exception as error:
        return {"verdict": None, "failure": type(error).__name__}


def _private_stdout() -> TextIO:
    """Return the real stdout for replies, and send what a library prints to stderr."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies


def _send(replies: TextIO, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
