"""Plain comparison of an answer with an accepted one: numbers by value, words as words, no symbolic mathematics.

First half of the project's grader. `compare` settles what it can be sure of and returns None for the rest, which
math-verify then judges in a grader process. Numbers are compared as exact fractions (see `quantities.py`):

- two integers or fractions must be equal, however long;
- where one is a decimal they may be 1e-6 apart (1e-6 of the accepted value where that is below 1), so that 33.333333 is
  100/3 and 0.455 is not 5/11; 33.33 is neither 33.4 nor 33.3333. Beyond 1e6 the last digits of a double are forgiven as
  well (1e-12 of the value);
- a unit may be left out, but two different units differ; 62% is 62 and 0.62, but 62 is not 0.62;
- 52_8 is 52_8 or 52 alone, as in a question that asks for base 8; 16, 3, 1, 1 in any order, but not 16, 3, 1, 3.

A number inside a sentence is not an answer, and two numbers side by side are neither a product nor a sum. `2ab` is a
product: not 2, and the same as `2 \\cdot b \\cdot a`.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from mentor.rewards.quantities import Quantity, clean, is_unit, parse_quantity, unit_of

MAX_SYMBOLIC_CHARS = 400  # a longer answer is wrong unless it is literally equal

MATH_WORDS = frozenset({
    "pi", "π", "infinity", "infty", "inf", "sqrt", "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos",
    "arctan", "log", "ln", "exp", "mod", "gcd", "lcm", "frac", "cdot", "times", "circ", "cup", "cap", "begin", "end",
    "pmatrix", "bmatrix", "matrix", "text", "mathrm", "and", "or",
})  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:['’.\-][^\W\d_]+)*[.,;:!?]?")
_NUMBER_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*(?:st|nd|rd|th)?[.,;:!?]?")
_TEXT_WRAPPER = re.compile(r"\\(?:text|mathrm|textbf|textit|textrm|mbox)\s*\{([^{}]*)\}")
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_ARTICLES = frozenset({"a", "an", "the"})
_MEMBERSHIP = re.compile(r"^[A-Za-z] *\\in(?![a-z]) *")
_BRACKETED = re.compile(r"(\(|\[|\\?\{).*,.*(\)|\]|\})", re.DOTALL)

_TIMES = r"(?:\s*(?:\\cdot(?![A-Za-z])|\\times(?![A-Za-z])|\*|·|×)\s*|\s+|)"
_PRODUCT = re.compile(rf"(?P<number>-?\d+)?(?P<letters>(?:{_TIMES}[A-Za-z]){{1,4}})")
_ORDINALS = frozenset({"st", "nd", "rd", "th"})
_CHOICES = frozenset("ABCDEabcd")
_MARKED = re.compile(r"(?<![A-Za-z])[A-Za-z]\s*(?:!|’|\^\s*\{?\s*\\prime)")  # n! and f' are not letters
_SIDE_BY_SIDE = re.compile(r"(?<![\w.^\\])\d(?:[\d.,]*\d)?\s+\d")

_BASED = re.compile(
    r"(?P<digits>[0-9][0-9A-F]*)(?:\s*_\s*(?:(?P<base>\d)|\{\s*(?:\\text\s*\{\s*)?(?P<braced>\w+)\s*\}?\s*\}))?"
)


def compare(prediction: str, accepted: str) -> bool | None:
    """Whether the prediction is the accepted answer; None where only symbolic mathematics can tell."""
    given, wanted = clean(prediction), clean(accepted)
    if not given or not wanted:
        return False
    if _compact(given) == _compact(wanted):
        return True
    based = _in_base(wanted)
    if based is not None and based[1] is not None:
        return (found := _in_base(given)) is not None and found[0] == based[0] and found[1] in (based[1], None)
    given_quantity, wanted_quantity = parse_quantity(given), parse_quantity(wanted)
    if (ratio := _same_ratio(given, wanted)) is not None:
        return ratio
    if wanted_quantity is not None:
        if given_quantity is not None:
            return equal_quantities(given_quantity, wanted_quantity)
        if _has_words(given) or _false_equation(given):
            return False
    product, wanted_product = _product(given), _product(wanted)
    if product and wanted_product:
        if product[0] or wanted_product[0]:
            return product == wanted_product
        if product == wanted_product and "\\text" not in prediction + accepted and _letters_are_factors(given, wanted):
            return True
    if is_text(wanted) and not (_MARKED.search(given) or _MARKED.search(wanted)):
        return _same_words(given, wanted)
    if (wanted_quantity and product) or (given_quantity and wanted_product):
        return False
    if len(given) > MAX_SYMBOLIC_CHARS or any(differ(given, wanted) for differ in _DIFFERENCES):
        return False
    return None


def _same_words(given: str, wanted: str) -> bool:
    """A lone letter is compared in its case, but for the letters of choices."""
    left, right = words(given), words(wanted)
    if left != right or len(wanted) > 1 or wanted in _CHOICES:
        return left == right
    return wanted in given


def _product(text: str) -> tuple[str, str] | None:
    """The number before a product of letters, empty without one, and its letters in order; None for anything else.

    Also None where the letters may be a word: a unit, an ordinal, `pi`, Euler's number.
    """
    found = _PRODUCT.fullmatch(text)
    if found is None:
        return None
    letters = re.sub(_TIMES, "", found["letters"])
    if letters.lower() in MATH_WORDS or letters in ("e", "i") or (not found["number"] and len(letters) == 1):
        return None
    if found["number"] and len(letters) > 1 and (is_unit(letters) or letters.lower() in _ORDINALS):
        return None
    return found["number"] or "", "".join(sorted(letters))


def _letters_are_factors(given: str, wanted: str) -> bool:
    """Whether two runs of letters are products, not words: one writes its sign, or they cannot be spoken or spelt."""
    if any(not text.isalpha() for text in (given, wanted)):
        return True
    return wanted.islower() and len(set(wanted)) == len(wanted) and not set("aeiou") & set(wanted)


def _in_base(text: str) -> tuple[str, str | None] | None:
    """Digits and the base below them, None without one; None for what is no such number."""
    found = _BASED.fullmatch(text)
    return None if found is None else (found["digits"].lstrip("0"), found["base"] or found["braced"])


def _items(text: str) -> list[Quantity] | None:
    """The plain numbers of a list without brackets, in its order; None for what is no such list."""
    parts = [parse_quantity(clean(part)) for part in text.split(",")]
    found = [part for part in parts if part is not None]
    return found if len(found) == len(parts) > 1 else None


def _other_items(given: str, wanted: str) -> bool:
    """Whether two lists of as many numbers hold different ones; math-verify takes them for sets."""
    left, right = _items(given), _items(wanted)
    if left is None or right is None or len(left) != len(right):
        return False
    pairs = zip(sorted(left, key=_value), sorted(right, key=_value), strict=True)
    return not all(equal_quantities(*pair) for pair in pairs)


def _value(quantity: Quantity) -> Fraction:
    return quantity.value


def equal_quantities(given: Quantity, wanted: Quantity) -> bool:
    """By value and, where both have one, by unit."""
    if given.unit and wanted.unit and given.unit != wanted.unit:
        return False
    if given.percent == wanted.percent:
        return _close(given, wanted.value, wanted.exact)
    if given.percent:  # 62% for 62, or for 0.62
        return _close(given, wanted.value, wanted.exact) or _close(given, wanted.value * 100, False)
    return _close(given, wanted.value, wanted.exact) or _close(given, wanted.value / 100, False)


def _close(given: Quantity, wanted: Fraction, wanted_exact: bool) -> bool:
    distance = abs(given.value - wanted)
    if distance == 0 or (given.exact and wanted_exact):
        return distance == 0
    if wanted == 0:
        return distance <= Fraction(1, 10**12)
    return distance <= max(min(Fraction(1), abs(wanted)) / 10**6, abs(wanted) / 10**12)


def is_text(answer: str) -> bool:
    """Whether a cleaned answer is words (`James Madison`, `yes`, `week 23`) or one letter, not mathematics."""
    plain = _TEXT_WRAPPER.sub(r" \1 ", answer).split()
    if not all(_WORD.fullmatch(token) or _NUMBER_TOKEN.fullmatch(token) for token in plain):
        return False
    found = [token for token in plain if _WORD.fullmatch(token)]
    if any(token.strip(".,;:!?").lower() in MATH_WORDS and len(found) == 1 for token in found):
        return False
    return any(sum(char.isalpha() for char in token) >= 2 for token in found) or (len(plain) == len(found) == 1)


def words(answer: str) -> tuple[str, ...]:
    """Lower-case words without text commands, punctuation and articles (kept where nothing else is left)."""
    plain = unicodedata.normalize("NFKC", _TEXT_WRAPPER.sub(r" \1 ", answer)).casefold()
    plain = re.sub(r"['’]", "", plain)
    found = re.sub(r"[.,;:!?\"“”()]|(?<=\w)-(?=\w)", " ", plain).split()  # the minus of -x stays
    return tuple(word for word in found if word not in _ARTICLES) or tuple(found)


def _compact(text: str) -> str:
    """Without the spaces that part nothing: those not between two letters or digits."""
    return re.sub(r"(?<!\w)\s+|\s+(?!\w)", "", text)


def _has_words(text: str) -> bool:
    """Whether there is prose around the mathematics."""
    plain = re.sub(r"\\[A-Za-z]+", lambda command: " " if command[0] not in ("\\text", "\\mathrm") else "", text)
    return any(word.lower() not in MATH_WORDS for word in _LETTERS.findall(plain))


def _same_ratio(given: str, wanted: str) -> bool | None:
    """Of two ratios of three numbers or more, by proportion: no chain of divisions. None where neither is one."""
    left, right = ([parse_quantity(part.strip()) for part in text.split(":")] for text in (given, wanted))
    if max(len(left), len(right)) < 3 or not all([*left, *right]):
        return None
    pairs = [(a.value, b.value) for a, b in zip(left, right, strict=False) if a and b]
    scale_given, scale_wanted = next((pair for pair in pairs if any(pair)), (1, 1))
    return len(left) == len(right) and all(a * scale_wanted == b * scale_given for a, b in pairs)


def _false_equation(given: str) -> bool:
    """Whether it says of two plain numbers that they are equal and they are not: math-verify reads the last alone."""
    sides = [parse_quantity(side.strip()) for side in given.split("=")]
    values = {side.value for side in sides if side and side.exact and not side.percent and not side.unit}
    return len(values) > 1


def _other_unit(given: str, wanted: str) -> bool:
    left, right = unit_of(given), unit_of(wanted)
    return bool(left and right) and left != right


def _other_marks(given: str, wanted: str) -> bool:
    """Primes and double factorials, which math-verify leaves out."""
    left, right = ([len(re.findall(mark, text)) for mark in (r"['’]|\\prime", r"!\s*!")] for text in (given, wanted))
    return left != right


def _side_by_side(given: str, wanted: str) -> bool:
    """Two numbers with nothing between them, which math-verify adds."""
    return any(_SIDE_BY_SIDE.search(text) for text in (given, wanted))


def _other_brackets(given: str, wanted: str) -> bool:
    """(1, 2], [1, 2] and {1, 2} are three things, although math-verify takes an open interval for a set."""
    left, right = (_BRACKETED.fullmatch(_MEMBERSHIP.sub("", text)) for text in (given, wanted))
    return left is not None and right is not None and left.groups() != right.groups()


_DIFFERENCES = (_other_brackets, _other_items, _other_unit, _other_marks, _side_by_side)
