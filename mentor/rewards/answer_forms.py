"""Forms in which an answer may be written beside a plain number: products of letters, bases, lists, ratios, words.

Each reader takes a cleaned answer (`quantities.clean`); the rules of `answers.py` compare what two answers come to.
"""

from __future__ import annotations

import re
import unicodedata

from mentor.rewards.quantities import Quantity, clean, parse_quantity
from mentor.rewards.units import DENIALS, NUMBER_WORDS, is_measure, unit_name

MATH_WORDS = frozenset({
    "pi", "π", "infinity", "infty", "inf", "sqrt", "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos",
    "arctan", "log", "ln", "exp", "mod", "gcd", "lcm", "frac", "cdot", "times", "circ", "cup", "cap", "begin", "end",
    "pmatrix", "bmatrix", "matrix", "text", "mathrm", "and", "or",
})  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:['’.\-][^\W\d_]+)*[.,;:!?]?")
_NUMBER_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*(?:st|nd|rd|th)?[.,;:!?]?")
_TEXT_WRAPPER = re.compile(r"\\(?:text|mathrm|textbf|textit|textrm|mbox)\s*\{([^{}]*)\}")
_TEXT_AT_END = re.compile(r"\\(?:text|mathrm|textrm|mbox)\s*\{([^{}]*)\}$")
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_ARTICLES = frozenset({"a", "an", "the"})
_MEMBERSHIP = re.compile(r"^[A-Za-z] *\\in(?![a-z]) *")
_BRACKETED = re.compile(r"(\(|\[|\\?\{).*,.*(\)|\]|\})", re.DOTALL)

_CHOICE = re.compile(
    r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?\(?(?P<letter>[A-E])\s*"
    r"(?:\)\s*\}?\s*(?P<value>[^\s+=,*/^!)<>].*)|[.:]\s+\}?\s*(?P<number>[-\d$\\].*))",
    re.DOTALL,
)
_OPERATOR = re.compile(r"-\s|\\(?:cup|cap|cdot|times|div|pm|to|in|[lg]eq?|neq?|equiv|sim|subset)(?![A-Za-z])|[A-E]\)?$")
_LETTER = re.compile(r"\(?([A-Ea-e])\)?")
_LABEL = re.compile(
    r"(?P<label>(?:\\(?:text|mathrm|textbf|textit|mbox)\s*\{[A-Za-z '’_-]+\}|[A-Za-z][A-Za-z'’-]+)"
    r"(?:\s+[A-Za-z'’-]+)*)\s*[=:]\s*(?P<value>[^=:]+)",
    re.DOTALL,
)
_TUPLE = re.compile(r"\s*\([^()\[\]{}]*,[^()\[\]{}]*\)\s*(?:,\s*(?=\()|$)")

_TIMES = r"(?:\s*(?:\\cdot(?![A-Za-z])|\\times(?![A-Za-z])|\*|·|×)\s*|\s+|)"
_PRODUCT = re.compile(rf"(?P<number>-?\d+)?(?P<letters>(?:{_TIMES}[A-Za-z]){{1,4}})")
_ORDINALS = frozenset({"st", "nd", "rd", "th"})
_CHOICES = frozenset("ABCDEabcd")
_MARKED = re.compile(r"(?<![A-Za-z])[A-Za-z]\s*(?:!|’|\^\s*\{?\s*\\prime)")  # n! and f' are not letters

_BASED = re.compile(
    r"(?P<digits>[0-9][0-9A-F]*)(?:\s*_\s*(?:(?P<base>\d)|\{\s*(?:\\text\s*\{\s*)?(?P<braced>\w+)\s*\}?\s*\}))?"
)


def choice(text: str) -> tuple[str, str] | None:
    """Return the letter of a choice and the value behind it, of `(B) 12` or `B. 12`; None without both."""
    found = _CHOICE.fullmatch(text)
    if found is None:
        return None
    value = (found["value"] or found["number"]).strip()
    return None if _OPERATOR.match(value) else (found["letter"], value)


def is_letter_of_choice(text: str) -> bool:
    return bool(_LETTER.fullmatch(text))


def labelled(text: str) -> tuple[str, str] | None:
    r"""Return the name in words and the value of `\text{Area} = 12`; None where no name stands before one value."""
    found = _LABEL.fullmatch(text) if "=" in text or ":" in text else None
    if found is None:
        return None
    name = words(found["label"])
    denied = any(word in DENIALS or word in NUMBER_WORDS or word in MATH_WORDS for word in name)
    spoken = any(len(word) > 2 for word in name) and not found["label"].isupper()  # no product of letters
    value = found["value"].strip()
    return (" ".join(name), value) if spoken and not denied and re.search(r"\d|\\", value) else None


def without_braces(text: str) -> str:
    r"""Return the tuples in `\{(1, 2), (3, 4)\}`, which are written without braces too; any other text as it is."""
    if not (text.startswith("\\{") and text.endswith("\\}")):
        return text
    inner = text[2:-2].strip()
    position = 0
    while found := _TUPLE.match(inner, position):
        position = found.end()
    return inner if inner and position == len(inner) else text


def product_of_letters(text: str) -> tuple[str, str] | None:
    """Return the number before a product of letters, empty without one, and its letters in order; None if it is none.

    Also None where the letters may be a word: a unit, an ordinal, `pi`, Euler's number.
    """
    found = _PRODUCT.fullmatch(text)
    if found is None:
        return None
    letters = re.sub(_TIMES, "", found["letters"])
    if letters.lower() in MATH_WORDS or letters in ("e", "i") or (not found["number"] and len(letters) == 1):
        return None
    if found["number"] and len(letters) > 1 and (is_measure(letters) or letters.lower() in _ORDINALS):
        return None
    return found["number"] or "", "".join(sorted(letters))


def are_factors(given: str, wanted: str) -> bool:
    """Return whether two runs of letters are products: one writes a sign, or they cannot be spoken or spelt."""
    if any(not text.isalpha() for text in (given, wanted)):
        return True
    return wanted.islower() and len(set(wanted)) == len(wanted) and not set("aeiou") & set(wanted)


def in_base(text: str) -> tuple[str, str | None] | None:
    """Return the digits and the base below them, None for a base that is not written; None if it is no such number."""
    found = _BASED.fullmatch(text)
    return None if found is None else (found["digits"].lstrip("0"), found["base"] or found["braced"])


def number_list(text: str) -> list[Quantity] | None:
    """Return the plain numbers of a list without brackets, in its order; None if it is no such list."""
    parts = [parse_quantity(clean(part)) for part in text.split(",")]
    found = [part for part in parts if part is not None]
    return found if len(found) == len(parts) > 1 else None


def ratio_parts(text: str) -> list[Quantity | None]:
    """Return the parts between colons, None for one that is no plain number."""
    return [parse_quantity(part.strip()) for part in text.split(":")]


def brackets(text: str) -> tuple[str, ...] | None:
    r"""Return the brackets around a list or an interval (`x \in` before it left out); None without them."""
    found = _BRACKETED.fullmatch(_MEMBERSHIP.sub("", text))
    return None if found is None else found.groups()


def marks(text: str) -> tuple[int, int]:
    """Return how many primes and how many double factorials there are."""
    return len(re.findall(r"['’]|\\prime", text)), len(re.findall(r"!\s*!", text))


def is_marked(text: str) -> bool:
    """Return whether a letter has a factorial or a prime, as in n! and f'."""
    return bool(_MARKED.search(text))


def equates_different_numbers(text: str) -> bool:
    """Return whether it says of two plain numbers that they are equal and they are not."""
    sides = [parse_quantity(side.strip()) for side in text.split("=")]
    values = {side.value for side in sides if side and side.exact and not side.percent and not side.unit}
    return len(values) > 1


def is_text(answer: str) -> bool:
    """Return whether an answer is words (`James Madison`, `yes`, `week 23`) or one letter, not mathematics."""
    plain = _TEXT_WRAPPER.sub(r" \1 ", answer).split()
    if not all(_WORD.fullmatch(token) or _NUMBER_TOKEN.fullmatch(token) for token in plain):
        return False
    found = [token for token in plain if _WORD.fullmatch(token)]
    if any(token.strip(".,;:!?").lower() in MATH_WORDS and len(found) == 1 for token in found):
        return False
    return any(sum(char.isalpha() for char in token) >= 2 for token in found) or (len(plain) == len(found) == 1)


def words(answer: str) -> tuple[str, ...]:
    """Return the lower-case words without text commands, punctuation and articles (kept where nothing else is left)."""
    plain = unicodedata.normalize("NFKC", _TEXT_WRAPPER.sub(r" \1 ", answer)).casefold()
    plain = re.sub(r"['’]", "", plain)
    found = re.sub(r"[.,;:!?\"“”()]|(?<=\w)-(?=\w)", " ", plain).split()  # the minus of -x stays
    kept = [
        word
        for word, after in zip(found, [*found[1:], ""], strict=True)
        if word not in _ARTICLES or (word == "a" and len(after) == 1)  # `A, B` are two choices
    ]
    return tuple(kept) or tuple(found)


def ends_in_words(text: str) -> bool:
    r"""Return whether it ends in a `\text{}` that is no unit: `or more`, `is wrong`."""
    found = _TEXT_AT_END.search(text)
    return found is not None and bool(_LETTERS.search(found[1])) and unit_name(found[1], in_text=True) is None


def same_words(given: str, wanted: str) -> bool:
    """Return whether the words are equal; a lone letter in its case, but for the letters of choices."""
    left, right = words(given), words(wanted)
    if left != right or len(wanted) > 1 or wanted in _CHOICES:
        return left == right
    return wanted in given


def has_words(text: str) -> bool:
    """Return whether there is prose around the mathematics."""
    plain = re.sub(r"\\[A-Za-z]+", lambda command: " " if command[0] not in ("\\text", "\\mathrm") else "", text)
    return any(word.lower() not in MATH_WORDS for word in _LETTERS.findall(plain))
