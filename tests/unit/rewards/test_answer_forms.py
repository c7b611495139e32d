"""Forms of answers beside plain numbers, by hand."""

from fractions import Fraction

import pytest

from mentor.rewards import answer_forms as forms


@pytest.mark.parametrize(
    ("text", "product"),
    [
        ("2ab", ("2", "ab")),
        (r"b \cdot a", ("", "ab")),
        ("-3 x", ("-3", "x")),
        ("x", None),
        ("2m", ("2", "m")),
        ("5cm", None),  # a unit
        ("5th", None),
        ("pi", None),
        ("e", None),
        ("abcde", None),  # more than four letters
        ("x+y", None),
    ],
)
def test_product_of_letters(text: str, product: tuple[str, str] | None) -> None:
    assert forms.product_of_letters(text) == product


def test_letters_that_may_be_a_word_are_no_factors() -> None:
    assert forms.are_factors("nk", "kn") and forms.are_factors("a b", "ab")
    assert (
        not forms.are_factors("no", "on") and not forms.are_factors("HTH", "THH") and not forms.are_factors("xx", "xx")
    )


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("052_8", ("52", "8")),
        ("1A_{16}", ("1A", "16")),
        (r"7_{\text{10}}", ("7", "10")),
        ("52", ("52", None)),
        ("a_1", None),
    ],
)
def test_in_base(text: str, digits: tuple[str, str | None] | None) -> None:
    assert forms.in_base(text) == digits


def test_lists_and_ratios() -> None:
    found = forms.number_list("$2$, -1")
    assert found is not None and [item.value for item in found] == [2, -1]
    assert forms.number_list("2") is None and forms.number_list("2, x") is None
    parts = forms.ratio_parts("1/2 : 3:x")
    assert [part and part.value for part in parts] == [Fraction(1, 2), 3, None]


def test_brackets_marks_and_equations() -> None:
    assert forms.brackets(r"x \in (1, 2]") == ("(", "]") and forms.brackets("(1)") is None
    assert forms.marks("f'' + n!!") == (2, 1) and forms.is_marked("n!") and not forms.is_marked("5!")
    assert forms.equates_different_numbers("4=3") and not forms.equates_different_numbers("x = 3 = 6/2")


@pytest.mark.parametrize(
    ("text", "is_text"),
    [
        ("James Madison", True),
        ("week 23", True),
        ("B", True),
        (r"\text{Lima}", True),
        ("pi", False),
        ("x+1", False),
        ("23", False),
    ],
)
def test_is_text(text: str, is_text: bool) -> None:
    assert forms.is_text(text) is is_text


def test_words() -> None:
    assert forms.words(r"The \text{Jay-Z's} U.S.") == ("jay", "zs", "u", "s")
    assert forms.words("the") == ("the",)
    assert forms.same_words("(c)", "C") and forms.same_words("k", "k") and not forms.same_words("k", "K")
    assert (
        forms.has_words("about 881") and not forms.has_words(r"\sqrt{2} + sin x") and forms.has_words(r"\text{about} 8")
    )
