"""A student's tool use beside the teacher's on the same tasks, call by call: similarity, cost and call errors.

Names are compared, and arguments where it says so. The student's calls are all that it attempted, in order: a failed
call matches none of the teacher's; one that fits, where calls are not run, does. References hold the teacher's calls in
order, without its turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from mentor.evaluation.statistics import tool_similarity
from mentor.rewards.tool_match import bag_f1, same_value, set_f1
from mentor.types import CallError, CallRecord, NamedCall, Task, ToolCall, Trajectory

Numbers = dict[str, float | None]

INVALID = {  # metric: the error in writing the call that it counts
    "invalid_malformed": CallError.MALFORMED,
    "invalid_unknown_tool": CallError.UNKNOWN_TOOL,
    "invalid_arguments": CallError.INVALID_ARGUMENTS,
}


@dataclass(frozen=True)
class AnsweredCalls:
    """The calls of one trajectory. reference: the teacher's calls, None where the teacher is unknown.

    correct: None where it was not graded. tokens: how many the student sampled, None where there is no record of them.
    """

    calls: Sequence[CallRecord]
    reference: Sequence[ToolCall] | None
    correct: float | None
    tokens: int | None

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> AnsweredCalls:
        """Read a record of an evaluation's items.jsonl."""
        tokens = item.get("tokens")
        return cls(
            calls=[CallRecord.from_dict(call) for call in item["calls"]],
            reference=Task.from_dict(item["task"]).reference,
            correct=item["correct"],
            tokens=None if tokens is None else sum(tokens["loss_mask"]),
        )

    @classmethod
    def from_trajectory(cls, trajectory: Trajectory, correct: float | None) -> AnsweredCalls:
        tokens = None if trajectory.tokens is None else trajectory.tokens.sampled
        calls = [replace(call, turn=call.turn - trajectory.first_turn) for call in trajectory.calls]
        return cls(calls, trajectory.task.reference, correct, tokens)


def tool_use(answers: Sequence[AnsweredCalls]) -> Numbers:
    """Compute `similarity`, `cost` and `call_errors`. None: there is nothing to measure."""
    return {**similarity(answers), **cost(answers), **call_errors(answers)}


def similarity(answers: Sequence[AnsweredCalls]) -> Numbers:
    """Compare with the teacher over the answers to tasks with a reference (without any: all None).

    tool_similarity: 1 - Jensen-Shannon divergence of the two distributions over tool names, of all calls that ran
    and all of the teacher's; None where a side made none.
    bag_f1, set_f1: means over answers of the reward matchers `bag_f1` and `f1`.
    edit_distance: mean over answers of `edit_distance`; 0 is the teacher's sequence of names, at 1 no call is kept.
    argument_agreement: of the calls that share their name with one of the teacher's (`shared_calls`), summed over all
    answers, the share whose arguments are the teacher's too; None where no call is shared.
    never_diverges: share of answers with the teacher's names in its order, each call run.
    first_divergent_turn: mean of `first_divergent_turn` over the answers that diverge; None where none does.
    teacher_calls_per_answer: the teacher's calls for the same answers.
    """
    pairs = [(answer.calls, answer.reference) for answer in answers if answer.reference is not None]
    ran = Counter(call.name for calls, _ in pairs for call in calls if call.fits and call.name is not None)
    taught = Counter(call.name for _, reference in pairs for call in reference)
    shared = [shared_calls(*pair) for pair in pairs]
    turns = [first_divergent_turn(*pair) for pair in pairs]
    return {
        "tool_similarity": tool_similarity(ran, taught),
        "bag_f1": _mean([bag_f1(*pair) for pair in pairs]),
        "set_f1": _mean([set_f1(*pair) for pair in pairs]),
        "edit_distance": _mean([edit_distance(*pair) for pair in pairs]),
        "argument_agreement": _share(sum(same for same, _ in shared), sum(count for _, count in shared)),
        "never_diverges": _share(turns.count(None), len(turns)),
        "first_divergent_turn": _mean([turn for turn in turns if turn is not None]),
        "teacher_calls_per_answer": _share(taught.total(), len(pairs)),
    }


def cost(answers: Sequence[AnsweredCalls]) -> Numbers:
    """Compute the share of answers that attempted a call, and calls and tokens per right answer.

    calls_per_correct, tokens_per_correct: calls attempted and tokens sampled over all graded answers, wrong ones
    included; None where none is right, and for tokens also where an answer has no record of them.
    """
    graded = [answer for answer in answers if answer.correct is not None]
    right = sum(answer.correct for answer in graded if answer.correct is not None)
    tokens = [answer.tokens for answer in graded if answer.tokens is not None]
    return {
        "answers_with_calls": _share(sum(bool(answer.calls) for answer in answers), len(answers)),
        "calls_per_correct": _share(sum(len(answer.calls) for answer in graded), right),
        "tokens_per_correct": _share(sum(tokens), right) if len(tokens) == len(graded) else None,
    }


def call_errors(answers: Sequence[AnsweredCalls]) -> Numbers:
    """Compute shares of all calls attempted (None without any): by error in writing the call, and failed tools."""
    calls = [call for answer in answers for call in answer.calls]
    errors = Counter(call.error for call in calls)
    failed = sum(not call.fits and call.well_formed for call in calls)
    shares = {name: _share(errors[error], len(calls)) for name, error in INVALID.items()}
    return {**shares, "failed_calls": _share(failed, len(calls))}


def edit_distance(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> float:
    """Count the calls to insert, remove or replace to get the teacher's names in order, over the longer side's length.

    Levenshtein (1966); 0 where both sides are empty.
    """
    row = list(range(len(teacher) + 1))  # row[j]: edits from the student's calls so far to the teacher's first j
    for made, ours in enumerate(student, start=1):
        before, row = row, [made]
        for column, theirs in enumerate(teacher):
            replaced = before[column] + (not _like(ours, theirs))
            row.append(min(replaced, before[column + 1] + 1, row[column] + 1))
    return row[-1] / max(len(student), len(teacher), 1)


def shared_calls(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> tuple[int, int]:
    """Count (calls equal in name and arguments, calls equal in name) of both sides, in any order, each used once.

    Numbers are equal by value, so 2 is 2.0. A teacher's call of which only the name is known counts in neither.
    """
    ran = [call for call in student if call.fits and call.name is not None]
    known = [call for call in teacher if not isinstance(call, NamedCall)]
    names = Counter(call.name for call in ran) & Counter(call.name for call in known)
    left, same = list(known), 0
    for ours in ran:
        for place, theirs in enumerate(left):
            if ours.name == theirs.name and same_value(ours.arguments, theirs.arguments):
                del left[place]
                same += 1
                break
    return same, names.total()


def first_divergent_turn(student: Sequence[CallRecord], teacher: Sequence[ToolCall]) -> int | None:
    """Find the student's turn, from 1, in which its calls first depart from the teacher's names in order; or None.

    That is the turn of its first call that failed, has another name or is one too many. A student that stops early
    departs in the turn after its last call. How the teacher spread its calls over turns is not known and not compared.
    """
    for place, ours in enumerate(student):
        if place == len(teacher) or not _like(ours, teacher[place]):
            return ours.turn + 1
    if len(student) == len(teacher):
        return None
    return student[-1].turn + 2 if student else 1


def _like(ours: CallRecord, theirs: ToolCall) -> bool:
    return ours.fits and ours.name == theirs.name


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
