"""The built-in calculator, called here as plain functions; workers run its source."""

from pathlib import Path

import pytest
from pydantic_monty import Monty

from mentor.tools.builtin import calculator


@pytest.mark.parametrize(
    ("tool", "arguments", "result"),
    [
        ("add", (2, 3), 5),
        ("subtract", (2, 3), -1),
        ("multiply", (2, 3), 6),
        ("divide", (3, 2), 1.5),
        ("modulo", (-7, 3), 2),
        ("power", (2, -1), 0.5),
        ("sum_numbers", ([1, 2.5, 3],), 6.5),
        ("floor", (-1.5,), -2),
        ("ceil", (-1.5,), -1),
        ("round_number", (2.675, 1), 2.7),
        ("round_number", (2.4,), 2),
        ("sqrt", (9,), 3),
        ("abs_value", (-4,), 4),
    ],
)
def test_results(tool, arguments, result):
    assert getattr(calculator, tool)(*arguments) == result


def test_a_root_of_a_negative_number_is_an_error_and_no_complex_number():
    with pytest.raises(ValueError, match="a negative base needs a whole exponent"):
        calculator.power(-2, 0.5)


def roundings() -> list[tuple[float, int]]:
    """Halves of every kind, as they are written and as they are, whole numbers, and the ends of the range."""
    halves = [((k + 0.5) / 10**digits, digits) for k in range(1000) for digits in range(4)]
    halves += [(k / 1000 + 0.005, 2) for k in range(4000)] + [
        (k / 8, digits) for k in range(-800, 800) for digits in (1, 2)
    ]
    tens = [
        (number, -digits) for k in range(-300, 300) for number in (5 * k, 5.0 * k, 5 * k + 1e-9) for digits in (1, 2)
    ]
    ends = [(5e-324, 323), (5e-324, 400), (1.7e308, -300), (-2.5, -400), (1e22, -3), (1.2345678901234567e25, -3)]
    return [*halves, *tens, *ends, (float("inf"), 2), (float("-inf"), -2), (10**30 + 5, -1), (2**70, 3)]


def test_rounding_is_that_of_cpython_in_both_engines():
    cases = roundings()
    expected = [round(x, digits) for x, digits in cases]
    source = Path(calculator.__file__).read_text()
    with Monty(max_processes=1) as pool, pool.checkout() as session:
        session.feed_run(f"{source}\nNone")
        in_monty = session.feed_run("[round_number(x, digits) for x, digits in cases]", inputs={"cases": cases})
    for rounded in (in_monty, [calculator.round_number(x, digits) for x, digits in cases]):
        wrong = [(case, value) for case, value, right in zip(cases, rounded, expected, strict=True) if value != right]
        assert wrong == [] and len(cases) > 12_000
