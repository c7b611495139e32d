"""Comparison of an answer with an accepted one by rules: numbers and expressions by value, words as words.

First half of the project's grader. `compare` walks RULES in order; the first rule that applies gives the verdict. Where
none does, it returns None, and math-verify judges in a grader process. Numbers are compared as exact fractions (see
`quantities.py`): two integers or fractions must be equal, decimals may be 1e-6 apart, so that 33.333333 is 100/3 and
0.455 is not 5/11. A number inside a sentence is not an answer, and two numbers side by side are neither a product nor
a sum. Expressions are compared by `equal_values.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from mentor.rewards import answer_forms as forms
from mentor.rewards.equal_values import equal_expressions
from mentor.rewards.expressions import Expression, plain_number, read_expression
from mentor.rewards.quantities import Quantity, clean, equal_quantities, parse_quantity, unit_of, without_unit

MAX_SYMBOLIC_CHARS = 400  # a longer answer is wrong unless a rule before says that it is right
_SIDE_BY_SIDE = re.compile(r"(?<![\w.^\\])\d(?:[\d.,]*\d)?\s+\d")


@dataclass(frozen=True)
class AnswerPair:
    """A prediction and an accepted answer, and what they are read as; `given` and `wanted` are the texts compared."""

    prediction: str
    accepted: str

    @property
    def given(self) -> str:
        return self.compared[0]

    @property
    def wanted(self) -> str:
        return self.compared[1]

    @cached_property
    def compared(self) -> tuple[str, str]:
        """Both texts, cleaned, without what only one of them says: a choice's letter or value, a name, braces."""
        given, wanted = _of_choice(clean(self.prediction), clean(self.accepted))
        given, wanted = _without_label(given, wanted)
        return forms.without_braces(given), forms.without_braces(wanted)

    @cached_property
    def given_number(self) -> Quantity | None:
        return parse_quantity(self.given)

    @cached_property
    def wanted_number(self) -> Quantity | None:
        return parse_quantity(self.wanted)

    @cached_property
    def given_product(self) -> tuple[str, str] | None:
        return forms.product_of_letters(self.given)

    @cached_property
    def wanted_product(self) -> tuple[str, str] | None:
        return forms.product_of_letters(self.wanted)

    @cached_property
    def given_expression(self) -> Expression | None:
        return _expression(self.given, self.given_number)

    @cached_property
    def wanted_expression(self) -> Expression | None:
        return _expression(self.wanted, self.wanted_number)


@dataclass(frozen=True)
class Example:
    """A prediction, an accepted answer, and the verdict of the rule that decides about them."""

    given: str
    accepted: str
    verdict: bool


@dataclass(frozen=True)
class AnswerRule:
    """One step of the comparison. decide: the verdict on a pair, None where the rule does not apply.

    Its name and its meaning in docs/rewards.md are the function's name and docstring.
    """

    decide: Callable[[AnswerPair], bool | None]
    examples: tuple[Example, ...]

    @property
    def name(self) -> str:
        return self.decide.__name__

    @property
    def meaning(self) -> str:
        return " ".join((self.decide.__doc__ or "").split())


def compare(prediction: str, accepted: str) -> bool | None:
    """Return whether the prediction is the accepted answer; None where only symbolic mathematics can tell."""
    return first_verdict(prediction, accepted)[1]


def first_verdict(prediction: str, accepted: str) -> tuple[str | None, bool | None]:
    """Return the name of the first rule that applies and its verdict; None twice where none does."""
    return decide(AnswerPair(prediction, accepted))


def decide(pair: AnswerPair) -> tuple[str | None, bool | None]:
    """Return what `first_verdict` does, of a pair."""
    for rule in RULES:
        if (verdict := rule.decide(pair)) is not None:
            return rule.name, verdict
    return None, None


def blank(pair: AnswerPair) -> bool | None:
    """A blank answer is wrong."""
    return None if pair.given and pair.wanted else False


def same_text(pair: AnswerPair) -> bool | None:
    """The same text is right, apart from spaces that part no words or digits and the sizes of fractions. A name before
    a value, and the letter or the value of a choice, may be left out by one side."""
    return True if _compact(pair.given) == _compact(pair.wanted) else None


def other_name(pair: AnswerPair) -> bool | None:
    """Two values with other names before them are different; a name that one of them has may be left out."""
    given, wanted = forms.labelled(pair.given), forms.labelled(pair.wanted)
    return False if given and wanted and given[0] != wanted[0] else None


def number_in_base(pair: AnswerPair) -> bool | None:
    """A number with a base below it has the same digits, and the same base or none, as in a question that names it."""
    wanted = forms.in_base(pair.wanted)
    if wanted is None or wanted[1] is None:
        return None
    given = forms.in_base(pair.given)
    return given is not None and given[0] == wanted[0] and given[1] in (wanted[1], None)


def ratio(pair: AnswerPair) -> bool | None:
    """Ratios of three numbers or more are compared by proportion; they are no chain of divisions."""
    left, right = forms.ratio_parts(pair.given), forms.ratio_parts(pair.wanted)
    if max(len(left), len(right)) < 3 or not all([*left, *right]):
        return None
    pairs = [(a.value, b.value) for a, b in zip(left, right, strict=False) if a and b]
    scale_given, scale_wanted = next((pair for pair in pairs if any(pair)), (1, 1))
    return len(left) == len(right) and all(a * scale_wanted == b * scale_given for a, b in pairs)


def numbers(pair: AnswerPair) -> bool | None:
    """Two numbers are compared by value. A unit, or what is counted, may be left out, but two must measure the same;
    62% is 62 and 0.62."""
    if pair.given_number is None or pair.wanted_number is None:
        return None
    return equal_quantities(pair.given_number, pair.wanted_number)


def number_in_words(pair: AnswerPair) -> bool | None:
    """Where a number is wanted, a number inside a sentence is no answer, nor mathematics that words leave open or
    change."""
    if pair.wanted_number is None:
        closed = not forms.has_words(pair.wanted) and forms.ends_in_words(pair.given)
        return False if closed and pair.wanted_expression is not None else None
    return forms.same_words(pair.given, pair.wanted) if forms.has_words(pair.given) else None


def false_equation(pair: AnswerPair) -> bool | None:
    """Where a number is wanted, an equation of two different numbers is wrong; math-verify reads its last side only."""
    return False if pair.wanted_number is not None and forms.equates_different_numbers(pair.given) else None


def product_with_number(pair: AnswerPair) -> bool | None:
    """A number before letters is a product: the same number and the same letters, in any order."""
    if not (pair.given_product and pair.wanted_product and (pair.given_product[0] or pair.wanted_product[0])):
        return None
    return pair.given_product == pair.wanted_product


def product_of_letters(pair: AnswerPair) -> bool | None:
    """Letters that can be no word are a product: the same ones in any order are right."""
    if pair.given_product is None or pair.given_product != pair.wanted_product:
        return None
    if "\\text" in pair.prediction + pair.accepted or not forms.are_factors(pair.given, pair.wanted):
        return None
    return True


def same_words(pair: AnswerPair) -> bool | None:
    """Words are compared without case, punctuation and articles; a lone letter that is no choice (A to E) with case."""
    if not forms.is_text(pair.wanted) or forms.is_marked(pair.given) or forms.is_marked(pair.wanted):
        return None
    return forms.same_words(pair.given, pair.wanted)


def number_against_product(pair: AnswerPair) -> bool | None:
    """A number is no product of letters."""
    found = (pair.wanted_number and pair.given_product) or (pair.given_number and pair.wanted_product)
    return False if found else None


def too_long(pair: AnswerPair) -> bool | None:
    """An answer of more than 400 characters is wrong."""
    return False if len(pair.given) > MAX_SYMBOLIC_CHARS else None


def other_brackets(pair: AnswerPair) -> bool | None:
    """(1, 2], [1, 2] and {1, 2} are three things; math-verify takes an open interval for a set. Braces round tuples may
    be left out."""
    given, wanted = forms.brackets(pair.given), forms.brackets(pair.wanted)
    return False if given is not None and wanted is not None and given != wanted else None


def other_items(pair: AnswerPair) -> bool | None:
    """Two lists of as many numbers hold the same ones as often, in any order; math-verify takes them for sets."""
    given, wanted = forms.number_list(pair.given), forms.number_list(pair.wanted)
    if given is None or wanted is None or len(given) != len(wanted):
        return None
    pairs = zip(*(sorted(side, key=lambda item: item.value) for side in (given, wanted)), strict=True)
    return None if all(equal_quantities(*items) for items in pairs) else False


def other_unit(pair: AnswerPair) -> bool | None:
    """Two units behind mathematics must agree."""
    given, wanted = unit_of(pair.given), unit_of(pair.wanted)
    return False if given and wanted and given != wanted else None


def other_marks(pair: AnswerPair) -> bool | None:
    """Primes and double factorials must agree; math-verify leaves them out."""
    return False if forms.marks(pair.given) != forms.marks(pair.wanted) else None


def side_by_side(pair: AnswerPair) -> bool | None:
    """Two numbers with nothing between them are no sum; math-verify adds them."""
    return False if any(_SIDE_BY_SIDE.search(text) for text in (pair.given, pair.wanted)) else None


def same_value(pair: AnswerPair) -> bool | None:
    """Expressions, and lists of them, are compared exactly: equal normal forms are right, different values wrong. A
    number that is too large to be computed equals what is written with the same operations."""
    if pair.wanted_expression is None or pair.given_expression is None:
        return None
    return equal_expressions(pair.given_expression, pair.wanted_expression)


def _of_choice(given: str, wanted: str) -> tuple[str, str]:
    """`(B) 12` is compared by its letter with a letter, else by its value; two of them by both."""
    left, right = forms.choice(given), forms.choice(wanted)
    if left and right:
        return (left[1], right[1]) if left[0] == right[0] else (left[0], right[0])
    if left:
        return left[0 if forms.is_letter_of_choice(wanted) else 1], wanted
    if right:
        return given, right[0 if forms.is_letter_of_choice(given) else 1]
    return given, wanted


def _without_label(given: str, wanted: str) -> tuple[str, str]:
    """The values of `Area = 12`, unless the two have different names."""
    left, right = forms.labelled(given), forms.labelled(wanted)
    if left and right and left[0] != right[0]:
        return given, wanted
    return left[1] if left else given, right[1] if right else wanted


def _compact(text: str) -> str:
    """Return the text without the spaces that part nothing: those not between two letters or digits."""
    return re.sub(r"(?<!\w)\s+|\s+(?!\w)", "", re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text))


def _expression(text: str, number: Quantity | None) -> Expression | None:
    if number is None:
        return read_expression(without_unit(text))
    return None if number.percent else plain_number(number.value, number.exact)


def _rule(decide: Callable[[AnswerPair], bool | None], *examples: tuple[str, str, bool]) -> AnswerRule:
    return AnswerRule(decide, tuple(Example(*example) for example in examples))


RULES = (
    _rule(blank, ("", "5", False)),
    _rule(
        same_text,
        (r"\sqrt{34} + 56", r"\sqrt{34}+56", True),
        (r"\text{Area} = 12", "12", True),
        ("(B) 12", "12", True),
        ("(B) 12", "B", True),
    ),
    _rule(other_name, (r"\text{Width} = 12", r"\text{Length} = 12", False)),
    _rule(number_in_base, ("52", "52_8", True), ("52_7", "52_8", False)),
    _rule(ratio, ("2:3:4", "4:6:8", True), ("2:3:4", "2:4:3", False)),
    _rule(
        numbers,
        ("33.333333", "100/3", True),
        ("33.33", "100/3", False),
        ("72 clips", "72", True),
        ("100 cm", "1 m", True),
        ("5 cm", "5 m", False),
    ),
    _rule(number_in_words, ("The total is 593", "593", False), (r"90\text{ or more}", "90", False)),
    _rule(false_equation, ("4=3", "3", False)),
    _rule(product_with_number, (r"2 \cdot b \cdot a", "2ab", True), ("3ab", "2ab", False)),
    _rule(product_of_letters, (r"k \cdot n", "kn", True)),
    _rule(same_words, ("The yes.", "yes", True), ("Lima, Peru", "Lima", False)),
    _rule(number_against_product, ("2ab", "2", False)),
    _rule(too_long, ("1+" * 200 + "x", "x+200", False)),
    _rule(other_brackets, ("[1, 3]", "(1, 3]", False)),
    _rule(other_items, ("16,3,1,3", "16,3,1,1", False)),
    _rule(other_unit, (r"5\sqrt{2}\text{ m}", r"5\sqrt{2}\text{ cm}", False)),
    _rule(other_marks, ("f'(x)", "f(x)", False)),
    _rule(side_by_side, ("3 5", "8", False)),
    _rule(
        same_value,
        (r"\sqrt{12}", r"2\sqrt{3}", True),
        (r"\sqrt{12}", r"3\sqrt{2}", False),
        (r"\{(3,4), (1,2)\}", "(1,2),(3,4)", True),
        ("2039191!", "2039190!", False),
    ),
)
"""The rules of the comparison, in the order in which they are tried, each with examples that it decides."""
