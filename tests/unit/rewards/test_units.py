"""What may stand behind a number as its unit, and what may not."""

import pytest

from mentor.rewards.units import measure_name, unit_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("clips", "clip"), ("people", "person"), ("red apples", "red apple"), ("slices of pizza", "slices of pizza"),
        ("boxes", "box"), ("berries", "berry"), ("square centimeters", "cm^2"), ("miles per hour", "mph"),
        ("mi/h", "mph"), ("km/h", "km/h"), ("Dollars", "dollar"), ("degrees Celsius", "celsius"), ("J", "J"),
        ("Joules", "J"), ("kJ", "kJ"), ("H", "H"), ("h", "h"), ("N m", "N*m"), ("m N", "N*m"), ("J/K", "J/K"),
        ("J / (kg K)", "J/K/kg"), ("kg m/s^2", "kg*m/s^2"), ("m s^{-1}", "m*s^-1"), ("light years", "light year"),
    ],
)  # fmt: skip
def test_units_and_things_have_a_name(text: str, name: str | None) -> None:
    assert unit_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "or more", "or six", "is wrong", "million", "dozen eggs", "halves", "thirds", "hundred", "squared", "more",
        "in all", "and pears", "maybe", "exactly", "am", "pm", "Monkeys", "x", "a", "M", "ab", "cd", "pi", "sin",
        "times six", "to one", "not apples", "a b c d e", "", "apples2",
    ],
)  # fmt: skip
def test_words_that_change_a_number_or_make_a_sentence_are_no_unit(text: str) -> None:
    assert unit_name(text) is None


@pytest.mark.parametrize(
    ("text", "name"), [(" AU", "au"), (" Apples", "apple"), ("M", "M"), ("", ""), (" or six", None), ("is wrong", None)]
)
def test_in_a_text_command_capitals_and_short_names_are_units_too(text: str, name: str | None) -> None:
    assert unit_name(text, in_text=True) == name


def test_a_power_belongs_to_the_name() -> None:
    assert unit_name("cm", "2", in_text=True) == unit_name("square cm") == measure_name("sq centimeters") == "cm^2"
    assert measure_name("clips") is measure_name("C") is None and measure_name("km/h") == "km/h"
