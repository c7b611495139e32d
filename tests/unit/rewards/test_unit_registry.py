"""Units as pint knows them, in and out: one may be left out, two must measure the same and are converted."""

from fractions import Fraction

import pytest

from mentor.rewards.answers import compare
from mentor.rewards.unit_registry import conversion, is_symbol, registry


@pytest.mark.parametrize(
    ("given", "wanted", "factor"),
    [
        ("cm", "m", 0.01), ("h", "min", 60), ("kg", "g", 1000), ("in", "cm", 2.54), ("m/s", "km/h", 3.6),
        ("N*m", "J", 1), ("kg*m/s^2", "N", 1), ("m^2", "cm^2", 10_000), ("mph", "mile/h", 1), ("week", "day", 7),
        ("kJ", "J", 1000), ("J*s^-1", "W", 1),
    ],
)  # fmt: skip
def test_conversion(given: str, wanted: str, factor: float) -> None:
    assert float(conversion(given, wanted) or 0) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("cm", "kg"),
        ("clip", "cm"),
        ("clip", "person"),
        ("unit", "m"),
        ("celsius", "K"),
        ("degC", "K"),
        ("dollar", "cent"),
    ],
)
def test_what_is_not_converted(given: str, wanted: str) -> None:
    assert conversion(given, wanted) is None


def test_symbols() -> None:
    assert all(map(is_symbol, ("Btu", "dB", "Oe", "tsp", "kph", "lbf", "VA")))
    assert not any(map(is_symbol, ("EF", "AB", "M", "ab", "xyz", "clips", "", "12", "m/s")))  # EF would be an exafarad


@pytest.mark.parametrize(
    ("prediction", "accepted", "verdict"),
    [
        ("12 kJ", "12000 J", True), ("12 kJ", "12 J", False), ("100 cm", "1 m", True), ("1 hour", "60 minutes", True),
        ("1.5 kg", "1500 g", True), ("5 m/s", "18 km/h", True), ("5 m", "5 cm", False), ("101 cm", "1 m", False),
        (r"36\text{ in}", "3 ft", True), (r"10^4\text{ cm}^2", r"1\text{ m}^2", False),
        ("10000 cm^2", r"1\text{ m}^2", True), ("90 min", r"1.5\text{ hours}", True),
        ("5 Btu", "5", True), ("5 Btu", "5 tsp", False), ("5 units", "5 m", False),
    ],
)  # fmt: skip
def test_two_units_are_compared_by_what_they_measure(prediction: str, accepted: str, verdict: bool) -> None:
    assert compare(prediction, accepted) is verdict


def pint_names() -> list[str]:
    """The names of pint's units in one word, without its constants of mathematics."""
    names = registry().get_group("root").members
    return sorted(name for name in names if name.isalpha() and name.islower() and len(name) > 2)


def test_each_of_pints_units_may_be_left_out_and_no_other_takes_its_place() -> None:
    names = pint_names()
    assert len(names) > 150
    assert [name for name in names if compare(f"5 {name}", "5") is not True] == ["are", "fifth", "quarter"]
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        assert compare(f"6 {name}", "5") is False
        factor = conversion(name, other)
        if factor is None:
            assert compare(f"5 {name}", f"5 {other}") is not True or "rads" in (name, other), (name, other)
        elif Fraction(1, 10**6) < factor < 10**6 and {"are", "percent", "rads"}.isdisjoint((name, other)):
            assert compare(f"1 {name}", f"{float(factor):.15f} {other}") is True, (name, other)
