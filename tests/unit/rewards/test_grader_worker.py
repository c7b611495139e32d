"""The grader process, spoken to over its pipes."""

import io
import json
import signal
import subprocess
import sys

from mentor.rewards.grader_worker import _judge, serve

QUESTIONS = [("project", r"\sqrt{8}", [r"2\sqrt{2}"]), ("released", "5", ["6"]), ("project", "5", [r"5\pi"])]
VERDICTS = [{"verdict": True}, {"verdict": False}, {"verdict": False}]


def requests() -> list[str]:
    return [
        json.dumps({"judge": judge, "prediction": given, "accepted": accepted, "limit_s": 30.0}) + "\n"
        for judge, given, accepted in QUESTIONS
    ]


def test_requests_are_answered_in_order() -> None:
    replies = io.StringIO()
    serve(requests(), replies)
    assert [json.loads(line) for line in replies.getvalue().splitlines()] == VERDICTS
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)  # no clock is left running


def test_the_process_says_that_it_is_ready_and_ends_with_its_stdin() -> None:
    command = [sys.executable, "-m", "mentor.rewards.grader_worker"]
    done = subprocess.run(command, input="".join(requests()), capture_output=True, text=True, timeout=120, check=True)
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert replies == [{"ready": True}, *VERDICTS]


def test_a_failure_is_named() -> None:
    def failing(prediction: str, accepted: list[str], limit_s: float) -> bool:
        raise RecursionError

    request = {"prediction": "1", "accepted": ["2"], "limit_s": 1.0}
    assert _judge(failing, request) == {"verdict": None, "failure": "RecursionError"}
    assert _judge(lambda prediction, accepted, limit_s: prediction in accepted, request) == {"verdict": False}
