"""Plain numbers in answers, as exact fractions."""

from fractions import Fraction

import pytest

from mentor.rewards.quantities import Quantity, clean, equal_quantities, parse_quantity, unit_of, without_unit
from mentor.rewards.units import is_measure


@pytest.mark.parametrize(
    ("text", "value", "exact"),
    [
        ("1,234", Fraction(1234), True),
        ("-3/4", Fraction(-3, 4), True),
        ("1.50", Fraction(3, 2), False),
        ("4e5", Fraction(400_000), False),
        (r"9 \times 10^5", Fraction(900_000), False),
        (r"\frac12", Fraction(1, 2), True),
        ("1½", Fraction(3, 2), True),
        ("2 2/3", Fraction(8, 3), True),
        (r"2\frac{2}{3}", Fraction(8, 3), True),
        (r"0.3\overline{6}", Fraction(11, 30), True),
    ],
)
def test_numbers(text: str, value: Fraction, exact: bool) -> None:
    assert parse_quantity(clean(text)) == Quantity(value, exact)


@pytest.mark.parametrize(
    "text", ["2 5/3", r"2\frac{5}{3}", "2 3/3", "2 -1/3", "1/0", "12x", "1 2", "", "two", "1" * 1001]
)
def test_what_is_no_plain_number(text: str) -> None:
    """`2 5/3` is no mixed number: the fraction of one is below 1."""
    assert parse_quantity(clean(text)) is None


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("$12.50", Quantity(Fraction(25, 2), False, unit="dollar")),
        (r"62\%", Quantity(Fraction(62), True, percent=True)),
        ("20 square feet", Quantity(Fraction(20), True, unit="ft^2")),
        (r"15\text{ cm}^2", Quantity(Fraction(15), True, unit="cm^2")),
        ("50 miles/hour", Quantity(Fraction(50), True, unit="mph")),
        (r"146^{\circ}", Quantity(Fraction(146), True, unit="degree")),
        ("72 clips", Quantity(Fraction(72), True, unit="clip")),
        ("1/2 N m", Quantity(Fraction(1, 2), True, unit="N*m")),
        ("62 pct", Quantity(Fraction(62), True, percent=True)),
        (r"62\text{ percent}", Quantity(Fraction(62), True, percent=True)),
    ],
)
def test_units_and_percent_signs(text: str, quantity: Quantity) -> None:
    assert parse_quantity(clean(text)) == quantity


@pytest.mark.parametrize(
    ("given", "wanted", "equal"),
    [
        ("33.333333", "100/3", True),  # 3.3e-7 apart
        ("33.33333", "100/3", False),  # 3.3e-6 apart
        ("1/3", "2/6", True),
        ("0.000000333333", "1/3000000", True),  # within 1e-6 of the value
        ("0.000000333", "1/3000000", False),
        ("62%", "0.62", True),
        ("0.62", "62%", True),
        ("62", "0.62", False),
        ("5 cm", "5", True),
        ("5 cm", "5%", False),
        ("5 cm", "5 m", False),
        ("0.0000000000001", "0", True),
        ("0.00000000001", "0", False),
    ],
)
def test_equal_quantities(given: str, wanted: str, equal: bool) -> None:
    left, right = parse_quantity(given), parse_quantity(wanted)
    assert left is not None and right is not None and equal_quantities(left, right) is equal


def test_one_spelling() -> None:
    assert clean(r" $\left( 1\,000 \right)$. ") == "( 1000 )"
    assert clean(r"{\text{72}}") == "72" and clean("10⁵") == "10^{5}" and clean("√2") == r"\sqrt{2}"
    assert clean("f''") == r"f^{\prime\prime}" and clean("≈5") == "5"


def test_unit_names() -> None:
    assert unit_of(r"5\sqrt{2}\text{ metres}") == "m" and unit_of("5") == ""
    assert is_measure("Inches") and not is_measure("boxes")
    assert without_unit(r"5\sqrt{2}\text{ or more}") == r"5\sqrt{2}\text{ or more}"
