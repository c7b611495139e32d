"""The built-in calculator, called here as plain functions; workers run its source."""

import pytest

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
