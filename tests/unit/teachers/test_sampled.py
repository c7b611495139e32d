"""Verdicts on tries by hand: what is right, which try is kept, what is written down, and what is counted of it."""

import pytest

from mentor.chat.messages import make_call
from mentor.jsonl import JsonlWriter, read_jsonl
from mentor.rewards.correctness import Grader
from mentor.teachers import Rejection
from mentor.teachers.sampled import SamplingTeacher, Verifier, open_verifier, sample_counts
from mentor.tools import Toolbox, Toolset
from mentor.types import CallError, CallRecord, StopReason, Task, Trajectory

TASK = Task("t", "What is 2 plus 3?", ("5",), "calculator")


def tried(final, calls=1, stop=StopReason.ANSWERED, error=None):
    """A try with so many equal calls, the last of them with `error`."""
    errors = [None] * (calls - 1) + [error] if calls else []
    records = [CallRecord(turn, "add", {"a": 2, "b": 3}, e is None, e, 0.0) for turn, e in enumerate(errors)]
    messages = [{"role": "user", "content": TASK.question}]
    for turn in range(calls):
        asked = {"role": "assistant", "content": "", "tool_calls": [make_call("add", {"a": 2, "b": 3}, turn)]}
        messages += [asked, {"role": "tool", "tool_call_id": f"call_{turn}", "name": "add", "content": "5"}]
    return Trajectory(TASK, [*messages, {"role": "assistant", "content": final}], "[]", stop, records)


@pytest.fixture(scope="module")
def grader():
    with Grader() as made:
        yield made


@pytest.fixture
def verifier(grader, tmp_path):
    with JsonlWriter(tmp_path / "samples.jsonl") as log:
        yield Verifier(grader, "fewest_calls", log)


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (tried(r"\boxed{6}"), "wrong_answer"),
        (tried("It is 5."), "no_answer"),
        (tried(r"\boxed{5}", stop=StopReason.LENGTH), "length"),
        (tried(r"\boxed{5}", error=CallError.MALFORMED), "invalid_calls"),
        (Rejection("request_failed", "stall"), "request_failed"),
    ],
)
def test_a_try_that_is_not_right_has_a_reason(verifier, attempt, reason):
    verdict = verifier.judged(attempt)
    assert isinstance(verdict, Rejection) and verdict.reason == reason


def test_the_right_try_with_fewest_calls_is_kept_with_its_calls_as_reference(verifier, tmp_path):
    tries = [tried(r"\boxed{6}", 1), tried(r"\boxed{5}", 2), tried(r"\boxed{5.0}", 1)]
    kept = verifier.conclude(TASK, [verifier.judged(attempt) for attempt in tries])
    assert kept.final_text == r"\boxed{5.0}" and [call.name for call in kept.task.reference] == ["add"]
    records = list(read_jsonl(tmp_path / "samples.jsonl"))
    assert [(row["sample"], row["reason"], row["calls"], row["chosen"]) for row in records] == [
        (0, "wrong_answer", None, False),
        (1, None, 2, False),
        (2, None, 1, True),
    ]


def test_without_a_right_try_the_most_frequent_reason_stands_for_the_task(verifier):
    tries = [tried("none"), tried(r"\boxed{6}"), tried(r"\boxed{7}")]
    outcome = verifier.conclude(TASK, [verifier.judged(attempt) for attempt in tries])
    assert outcome == Rejection("wrong_answer", "2 of 3 tries: answered 6, the answer is 5")


def test_the_latest_record_of_a_try_counts(tmp_path):
    def row(task, sample, reason, graph):
        return {"id": task, "sample": sample, "reason": reason, "graph": graph}

    with JsonlWriter(tmp_path / "samples.jsonl") as log:
        log.write(row("a", 0, "request_failed", None))
        log.write(row("a", 0, None, "x"))
        log.write(row("a", 1, None, "x"))
        log.write(row("b", 0, "no_answer", None))
    assert sample_counts(tmp_path / "samples.jsonl", print) == {
        "samples": 3,
        "correct": 2,
        "sample_pass_rate": 0.666667,
        "distinct_paths": 1,
        "reasons": {"no_answer": 1},
    }


class Samples(SamplingTeacher):
    def solve_all(self, tasks, toolbox, concurrency, outcomes):
        raise NotImplementedError


def test_a_sampling_teacher_counts_tries_and_coverage(tmp_path):
    with open_verifier(tmp_path, "first", print) as verifier, JsonlWriter(tmp_path / "trajectories.jsonl") as kept:
        kept.write(verifier.conclude(TASK, [verifier.judged(tried(r"\boxed{5}"))]).to_dict())
    counts = Samples().counts(tmp_path, [TASK], Toolbox(Toolset.builtin("calculator")), print)
    assert counts["tries"]["correct"] == 1 and counts["coverage"]["calls_per_task"] == {"1": 1}
    assert "add" not in counts["coverage"]["tools_unused"] and len(counts["coverage"]["tools_unused"]) == 11
