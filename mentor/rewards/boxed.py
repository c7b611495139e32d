r"""The content of the last `\boxed{}` of a text."""

from __future__ import annotations

import re

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
