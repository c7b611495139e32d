"""The content of the last box of a text."""

import time

import pytest

from mentor.rewards.boxed import extract_boxed


@pytest.mark.parametrize(
    ("text", "boxed"),
    [
        (r"so \boxed{5}.", "5"),
        (r"\boxed{1} then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\boxed{6}}", "6"),
        (r"\boxed{5} and \boxed{6", "5"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{15\right.}", r"\left\{15\right."),
        (r"\boxed {7}", "7"),
        (r"}\boxed{5}}", "5"),
        (r"\boxed{ }", None),
        (r"\boxed{5} then \boxed{}", None),
        (r"\boxedmath{4}", None),
        ("none", None),
    ],
)
def test_extract_boxed(text: str, boxed: str | None) -> None:
    assert extract_boxed(text) == boxed


def test_extract_boxed_is_quick_on_many_open_boxes() -> None:
    started = time.perf_counter()
    assert extract_boxed(r"\boxed{" * 50_000) is None
    assert time.perf_counter() - started < 2
