"""scripts/arguments.py: numbers that would make a script do nothing are refused."""

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from scripts.arguments import positive_int, positive_seconds, whole_number


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(positive_int, "1", 1), (whole_number, "0", 0), (whole_number, "20", 20), (positive_seconds, "0.5", 0.5)],
)
def test_accepted(kind: Callable[[str], float], text: str, value: float):
    assert kind(text) == value


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (positive_int, ["0", "-1", "1.5", "", "two"]),
        (whole_number, ["-1", "1.5", "²"]),
        (positive_seconds, ["0", "-2", "nan", "inf", "soon"]),
    ],
)
def test_refused(kind: Callable[[str], float], texts: list[str]):
    for text in texts:
        with pytest.raises(ArgumentTypeError, match="is not accepted; accepted: a"):
            kind(text)
