"""Texts that a regular expression matches, with a given first group."""

import re

import pytest

from mentor.rewards.pattern_text import text_matching


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"Answer:\s*(.+)", "Answer:13"),
        (r"Answer:\s+(.+)\.", "Answer: 13."),
        (r"^(?:Final|Last) [Aa]nswer\s?=\s?(\d+)$", "Final Answer=13"),
        (r"(?i)result (?:is|=) \[(.*?)\]", "result is [13]"),
        (r"x{2,3}(?:no|(\d+))\.{3}", "xx13..."),
        (r"(?:a(\d+))*b", "a13b"),
        (r"[a-c]\d\w(?>.)[^q](\d+)(?=$)", "a0aaa13"),
        (r"\d+", "13"),
        (r"(", "13"),
    ],
)
def test_text_matching(pattern: str, text: str) -> None:
    assert text_matching(pattern, "13") == text
    if pattern != "(":
        found = re.search(pattern, text)
        assert found is not None and (found[1] if found.re.groups else found[0]) == "13"
