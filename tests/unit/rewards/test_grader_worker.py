"""The grader process, spoken to over its pipes."""

import json
import subprocess
import sys

from mentor.rewards.grader_worker import _judge


def test_requests_are_answered_in_order_and_it_ends_with_its_stdin() -> None:
    questions = [("project", r"\sqrt{8}", [r"2\sqrt{2}"]), ("released", "5", ["6"]), ("project", "5", [r"5\pi"])]
    lines = [
        json.dumps({"judge": judge, "prediction": given, "accepted": accepted, "limit_s": 30.0}) + "\n"
        for judge, given, accepted in questions
    ]
    command = [sys.executable, "-m", "mentor.rewards.grader_worker"]
    done = subprocess.run(command, input="".join(lines), capture_output=True, text=True, timeout=120, check=True)
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert replies == [{"ready": True}, {"verdict": True}, {"verdict": False}, {"verdict": False}]


def test_a_failure_is_named() -> None:
    def failing(prediction: str, accepted: list[str], limit_s: float) -> bool:
        raise RecursionError

    request = {"prediction": "1", "accepted": ["2"], "limit_s": 1.0}
    assert _judge(failing, request) == {"verdict": None, "failure": "RecursionError"}
    assert _judge(lambda prediction, accepted, limit_s: prediction in accepted, request) == {"verdict": False}
