"""The paper authors' five released reward functions, exactly, on raw text. For comparison and reproduction only.

They look at the whole decoded text, thinking and tool replies included; their bugs are kept on purpose. Without
the optional `mathruler` package. Departure: where the released function raises because a call's name is a list or an
object, that call counts as one of an unknown tool (a model's output must not end a run).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence

from mentor.closing import Closing
from mentor.errors import InputError
from mentor.rewards.grader_pool import GraderPool
from mentor.types import RewardBreakdown, StopReason, Task, Trajectory

VALID_TOOLS = frozenset({
    "add", "subtract", "multiply", "divide", "sum_numbers", "floor", "ceil", "round_number", "power", "sqrt",
    "abs_value", "modulo",
})  # fmt: skip
WRONG_SCALE = 0.2
NO_END, NO_ANSWER = 0.0, 0.1
DEFAULT_EOS = "<|im_end|>"

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
# The released fallback for malformed JSON: its doubled backslash asks for a literal one before the name's quote.
_FALLBACK_NAME = re.compile(r'"name":\\s*"([^"]+)"')
_SHORT_INTEGER = re.compile(r"0|[1-9][0-9]{0,14}")

Tools = frozenset[str] | set[str]


def _exact_set(called: Tools, teacher: Tools) -> float:
    return float(bool(called) and called == teacher)


def _share_a_name(called: Tools, teacher: Tools) -> float:
    return float(bool(called & teacher))


def _set_f1(called: Tools, teacher: Tools) -> float:
    return 2 * len(called & teacher) / (len(called) + len(teacher)) if called else 0.0


_MATCH: dict[str, Callable[[Tools, Tools], float]] = {
    "mentor": _exact_set,
    "partial_overlap": _share_a_name,
    "f1": _set_f1,
}
RELEASED = ("sparse", "mentor", "partial_overlap", "validity_only", "f1")
_WITH_VALIDITY = ("mentor", "validity_only", "f1")


class ReleasedJudge:
    """Judges an extracted answer as the released functions do; a failure or a timeout is wrong."""

    def __init__(self, timeout_s: float = 10.0, workers: int = 1, pool: GraderPool | None = None) -> None:
        self.timeout_s = timeout_s
        self._own_pool = GraderPool(workers) if pool is None else None
        self._pool = pool or self._own_pool

    def judge(self, prediction: str, ground_truths: Sequence[str]) -> bool:
        """Return whether the answer is any of the ground truths, which are unwrapped already. Works from any thread."""
        assert self._pool is not None
        if not ground_truths:
            return False
        if all(_SHORT_INTEGER.fullmatch(text) for text in (prediction, *ground_truths)):
            return prediction in ground_truths  # math-verify compares such integers by value
        return self._pool.judge("released", prediction, ground_truths, self.timeout_s) is True

    def close(self) -> None:
        if self._own_pool is not None:
            self._own_pool.close()


def released_reward(
    variant: str,
    response: str,
    eos: str,
    ground_truth: str | Sequence[str],
    teacher_tools: Sequence[str] | None,
    judge: ReleasedJudge,
) -> RewardBreakdown:
    """Score raw text with one function of RELEASED: `response` is the decoded assistant side with its end token.

    The terms are what the function computed: `correct` and `match` 0 or 1 (`match` of f1 in between), `valid` 1 if no
    call names an unknown tool; None where it did not get there. Raises InputError for a ground truth that is not a text
    or list of texts, and for one whose box is never closed where an answer is compared with it.
    """
    truths = _texts(ground_truth)
    terms: dict[str, float | None] = {"correct": None, "match": None, "valid": None}
    if not response.endswith(eos):
        return RewardBreakdown(NO_END, terms, "missing_eos")
    answer = extract_released_box(response)
    if answer is None or not answer.strip():
        return RewardBreakdown(NO_ANSWER, terms, "no_box" if answer is None else "empty_box")
    correct = terms["correct"] = float(judge.judge(answer, [_unwrap(truth) for truth in truths]))
    note = "correct" if correct else "wrong"
    if variant == "sparse":
        return RewardBreakdown(1.0 if correct else NO_ANSWER, terms, note)
    if variant in _MATCH and not teacher_tools:
        return RewardBreakdown(NO_ANSWER, terms, "no_teacher_tools")
    called, unknown = called_tools(response)
    total = 0.7 * correct
    if variant in _MATCH:
        match = terms["match"] = _MATCH[variant](called, set(teacher_tools or ()))
        total += (1.0 if correct else WRONG_SCALE) * 0.3 * match
    if variant in _WITH_VALIDITY:
        valid = terms["valid"] = float(not unknown)
        total += 0.1 * valid
    return RewardBreakdown(total, terms, note)


def extract_released_box(text: str) -> str | None:
    r"""Extract a box as released: `\boxed ` anywhere wins; else all braces are counted from the last `\boxed`.

    None where nothing is found, the braces never balance, or what is found does not begin with `\boxed{`.
    """
    if "\\boxed " in text:
        return text.rsplit("\\boxed ", 1)[1].split("$", 1)[0]
    start = text.rfind("\\boxed")
    if start < 0 or not text.startswith("\\boxed{", start):  # \fbox is found by the released code, then refused
        return None
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if text[position] == "}" and depth == 0:
            return text[start + len("\\boxed{") : position]
    return None


def called_tools(text: str) -> tuple[set[str], bool]:
    """Return the valid names called anywhere in the text, and whether any call names an unknown tool."""
    names = [_called_name(block) for block in _call_blocks(text)]
    called = {name for name in names if isinstance(name, str) and name in VALID_TOOLS}
    return called, any(bool(name) and not (isinstance(name, str) and name in VALID_TOOLS) for name in names)


def _call_blocks(text: str) -> Iterator[str]:
    """Yield what the released `<tool_call>(.*?)</tool_call>` finds, without searching to the end from each tag."""
    end = 0
    while (start := text.find(_OPEN, end)) >= 0 and (close := text.find(_CLOSE, start)) >= 0:
        yield text[start + len(_OPEN) : close]
        end = close + len(_CLOSE)


def _called_name(block: str) -> object:
    try:
        call = json.loads(block)
    except (ValueError, RecursionError):
        fallback = _FALLBACK_NAME.search(block)
        return fallback[1] if fallback else None
    return call.get("name") if isinstance(call, dict) else None


def _texts(ground_truth: object) -> list[str]:
    truths = [ground_truth] if isinstance(ground_truth, str) else ground_truth
    if not isinstance(truths, (list, tuple)) or not all(isinstance(truth, str) for truth in truths):
        raise InputError(f"ground_truth is {ground_truth!r}, accepted: a text or a list of texts")
    return list(truths)


def _unwrap(truth: str) -> str:
    if "\\boxed" not in truth:
        return truth
    inner = extract_released_box(truth)
    if inner is None:
        raise InputError(f"ground_truth {truth!r} holds a box that is not closed, accepted: text or \\boxed{{text}}")
    return inner


class ReleasedReward(Closing):
    """A released function on trajectories: their raw text where they have one, else rendered in the released form."""

    compares_results = False
    groups_at_once = 1
    term_names = ("correct", "match", "valid")
    missing: dict[str, int] = {}  # a grader that fails has said wrong

    def __init__(self, name: str, variant: str, judge: ReleasedJudge) -> None:
        self.name = name
        self._variant = variant
        self._judge = judge

    def can_score(self, task: Task) -> bool:
        """Return whether the task has an answer; a teacher that is not known has used no tool."""
        return task.gold is None

    def score(self, trajectories: Sequence[Trajectory]) -> list[RewardBreakdown]:
        """Build a breakdown of each trajectory; groups do not matter.

        Raises InputError for a ground truth that is not usable.
        """
        return [self._score(trajectory) for trajectory in trajectories]

    def _score(self, trajectory: Trajectory) -> RewardBreakdown:
        if not self.can_score(trajectory.task):
            raise InputError(
                f"task {trajectory.task.id!r} is judged by its calls, and reward {self.name!r} reads a boxed answer; "
                "accepted: sparse, strict, flexible, or terms of your own"
            )
        reference = trajectory.task.reference
        teacher_tools = None if reference is None else [call.name for call in reference]
        eos = DEFAULT_EOS if trajectory.eos is None else trajectory.eos
        response = render_released(trajectory, eos) if trajectory.response is None else trajectory.response
        try:
            return released_reward(
                self._variant, response, eos, list(trajectory.task.answer), teacher_tools, self._judge
            )
        except InputError as error:
            raise InputError(f"task {trajectory.task.id!r}: {error}") from error

    def close(self) -> None:
        self._judge.close()


def render_released(trajectory: Trajectory, eos: str = DEFAULT_EOS) -> str:
    """Render the assistant side of a trajectory without raw text as the released rollout would have decoded it."""
    text = ""
    for message in trajectory.messages:
        if message["role"] == "tool":
            opening = "" if text.endswith("</tool_response>\n") else "<|im_start|>user\n"
            text += f"{opening}<tool_response>{message['content']}</tool_response>\n"
        elif message["role"] == "assistant":
            if text.endswith("</tool_response>\n"):
                text += f"{eos}\n<|im_start|>assistant\n"
            calls = (json.dumps(_plain_call(call), ensure_ascii=False) for call in message.get("tool_calls") or ())
            text += "\n".join([message["content"] or "", *(f"<tool_call>\n{call}\n</tool_call>" for call in calls)])
            text += f"{eos}\n"
    text = text.removesuffix("\n")
    return text.removesuffix(eos) if trajectory.stop_reason is StopReason.LENGTH else text


def _plain_call(call: dict) -> dict:
    return {"name": call["function"]["name"], "arguments": call["function"]["arguments"]}
