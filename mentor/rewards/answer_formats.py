r"""The formats in which a final answer is written (`task.answer_format`): one reading and one writing of each.

Rewards, teachers, evaluation and the reward lint read answers here. A task names the format of its answer; `boxed` is
the default. Thinking is no answer, whether it is closed or not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import regex  # type: ignore[import-untyped]

from mentor.errors import InputError
from mentor.rewards.boxed import extract_boxed
from mentor.rewards.pattern_text import text_matching
from mentor.types import Trajectory

PATTERN = "re:"  # begins a format that is a regular expression
PATTERN_LIMIT_S = 1.0  # of a regular expression on one text
JSON_KEYS = ("answer", "final_answer")
TAG, TAG_END = "<answer>", "</answer>"
_HASHES = re.compile(r"(?<!#)####(?!#)\s*(\S[^\n]*)")
_LEAD = re.compile(r"(?:the )?(?:final )?answer(?:\**\s*[:=]|\s+is\b\s*:?)", re.IGNORECASE)
_COMMAND = re.compile(r"(?<!\\)\\(?=[A-Za-z]{2})(?!u[0-9a-fA-F]{4})")
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True)
class AnswerFormat:
    """One format. name: its value of `task.answer_format`. request: how a question asks for it, after "End with".

    find: the answer in a final turn without thinking, None where there is none. put: a final turn with the answer.
    asked: matches a question that asks for this format; None where that cannot be told.
    """

    name: str
    request: str
    find: Callable[[str], str | None]
    put: Callable[[str], str]
    asked: re.Pattern[str] | None

    def read(self, text: str) -> str | None:
        r"""Return the answer in a turn without thinking, None where there is none; a box inside it is the answer."""
        found = (self.find(text) or "").strip()
        return extract_boxed(found) or found or None

    def write(self, answer: str) -> str:
        """Return the text of a final turn with the answer; `put` does so without a look at what is read in it.

        Raises InputError for a regular expression that reads something else in the text that was found.
        """
        text = self.put(answer)
        if self.name.startswith(PATTERN) and self.read(text) != answer.strip():
            raise InputError(
                f"task.answer_format={self.name}: no text was found that it reads {answer[:80]!r} from; accepted: "
                "an expression whose first group is the answer, with plain words around it"
            )
        return text


def answer_format(name: str) -> AnswerFormat:
    """Return the format of a name, or of `re:` and a regular expression, whose first group is the answer.

    Raises InputError for any other name, and for what is no regular expression.
    """
    if name.startswith(PATTERN):
        return _of_pattern(name)
    if name not in FORMATS:
        accepted = f"{', '.join(FORMATS)} or re:<regular expression>"
        raise InputError(f"task.answer_format={name} is not accepted, accepted: {accepted}")
    return FORMATS[name]


def without_thinking(text: str) -> str:
    """Return what a turn says after its last `</think>` and before an unclosed `<think>`."""
    return text.rpartition("</think>")[2].partition("<think>")[0]


def answer_text(trajectory: Trajectory) -> str | None:
    """Return the model's own final turn without thinking; None when the trajectory ended before one."""
    text = trajectory.final_text
    return None if text is None else without_thinking(text)


def final_answer(trajectory: Trajectory) -> str | None:
    """Return the answer of the model's own final turn, read in the format of the task; None where there is none."""
    text = answer_text(trajectory)
    return None if text is None else answer_format(trajectory.task.answer_format).read(text)


def _after_hashes(text: str) -> str | None:
    found = _HASHES.findall(text)
    return _unstarred(found[-1]) if found else None


def _in_tag(text: str) -> str | None:
    before, end, _ = text.rpartition(TAG_END)
    _, start, inside = before.rpartition(TAG)
    return inside if start and end else None


def _last_line(text: str) -> str | None:
    """The last line that is not blank, without `Answer:` before it."""
    lines = text.strip().splitlines()
    return _unstarred(_LEAD.sub("", lines[-1].strip().lstrip("*"), count=1)) if lines else None


def _unstarred(text: str) -> str:
    """Without the asterisks of bold type around it."""
    return text.strip().strip("*").strip()


def _in_json(text: str) -> str | None:
    """The value of `answer` in the last JSON object that has one; a backslash before two letters is a LaTeX command."""
    found = None
    text = _COMMAND.sub(r"\\\\", text)
    position = text.find("{")
    while position >= 0:
        end = position + 1
        try:
            value, after = _DECODER.raw_decode(text, position)
        except ValueError:  # no JSON begins here
            value = {}
        except RecursionError:  # nor anything that ends
            break
        known = [value[key] for key in JSON_KEYS if value.get(key) is not None]
        if known:
            found, end = _as_text(known[0]), after
        position = text.find("{", end)
    return found


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_as_text, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@cache
def _of_pattern(name: str) -> AnswerFormat:
    """The format of a regular expression: the first group of its last match, all of it without a group."""
    written = name.removeprefix(PATTERN)
    try:
        pattern = regex.compile(written, regex.MULTILINE)
    except regex.error as error:
        raise InputError(f"task.answer_format={name} is no regular expression: {error}") from None
    group = 1 if pattern.groups else 0

    def find(text: str) -> str | None:
        try:
            found = list(pattern.finditer(text, timeout=PATTERN_LIMIT_S))
        except TimeoutError:  # a text that the expression is lost in has no answer
            return None
        return found[-1][group] if found else None

    def put(answer: str) -> str:
        return text_matching(written, answer)

    return AnswerFormat(name, f"the final answer as the regular expression {written} reads it", find, put, None)


FORMATS = {
    entry.name: entry
    for entry in (
        AnswerFormat(
            "boxed",
            r"the final answer in \boxed{}",
            extract_boxed,
            lambda answer: f"The answer is \\boxed{{{answer}}}.",
            re.compile(r"\\boxed\b"),
        ),
        AnswerFormat(
            "hashes",
            "the final answer after ####, on a line of its own",
            _after_hashes,
            lambda answer: f"#### {answer}",
            re.compile(r"(?<!#)####(?!#)"),
        ),
        AnswerFormat(
            "tag",
            "the final answer between <answer> and </answer>",
            _in_tag,
            lambda answer: f"{TAG}{answer}{TAG_END}",
            re.compile(r"<answer>"),
        ),
        AnswerFormat(
            "last_line",
            "the final answer alone on the last line",
            _last_line,
            lambda answer: answer,
            re.compile(r"\blast line\b[^.?!]*\banswer\b|\banswer\b[^.?!]*\blast line\b", re.IGNORECASE),
        ),
        AnswerFormat(
            "json",
            'a JSON object {"answer": ...} that holds the final answer',
            _in_json,
            lambda answer: json.dumps({"answer": answer}, ensure_ascii=False),
            re.compile(r"[\"'](?:final_)?answer[\"']\s*:"),
        ),
        AnswerFormat("whole", "nothing but the final answer", str.strip, str, None),
    )
}
"""The formats by name, the default first."""
