"""The boxed answer of a text, and of a trajectory's final turn: the one reading for rewards, teachers and evaluation.

Thinking is no answer, whether it is closed or not.
"""

from __future__ import annotations

import re

from mentor.types import Trajectory

_BRACE = re.compile(r"\\boxed\s*\{|\\\\(?!boxed)|\\[{}]|[{}]")


def extract_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{...}` whose braces balance, escaped ones apart; None if blank or absent."""
    open_at: list[tuple[bool, int]] = []  # of each open brace: whether it opens a box, and where its content begins
    last, content = -1, ""
    for brace in _BRACE.finditer(text):
        if brace[0] == "{" or brace[0].startswith("\\boxed"):
            open_at.append((brace[0] != "{", brace.end()))
        elif brace[0] == "}" and open_at:
            is_box, start = open_at.pop()
            if is_box and start > last:
                last, content = start, text[start : brace.start()]
    return content.strip() or None


def without_thinking(text: str) -> str:
    """Return what a turn says after its last `</think>` and before an unclosed `<think>`."""
    return text.rpartition("</think>")[2].partition("<think>")[0]


def answer_text(trajectory: Trajectory) -> str | None:
    """Return the model's own final turn without thinking; None when the trajectory ended before one."""
    text = trajectory.final_text
    return None if text is None else without_thinking(text)


def boxed_answer(trajectory: Trajectory) -> str | None:
    """Return the boxed answer of the model's own final turn, without thinking; None where there is none."""
    text = answer_text(trajectory)
    return None if text is None else extract_boxed(text)
