"""What may stand behind a number as its unit: units by name or symbol, and the things that are counted (`72 clips`).

Words that change a number (`4 million`, `5 squared`), leave it open (`90 or more`) or make a sentence of it are none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from mentor.rewards.unit_registry import is_symbol

NUMBER_WORDS = frozenset({
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty",
    "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "billion", "trillion",
    "quadrillion", "dozen", "score", "half", "halve", "third", "quarter", "fourth", "fifth", "sixth", "seventh",
    "eighth", "ninth", "tenth", "twelfth", "hundredth", "thousandth", "millionth", "double", "triple", "twice",
    "first", "lakh", "crore", "gross",
})  # fmt: skip
DENIALS = frozenset({
    "not", "no", "never", "none", "neither", "nor", "isn't", "isnt", "wrong", "incorrect", "false", "or", "except",
    "without", "instead",
})  # fmt: skip
_OPERATIONS = frozenset({
    "plus", "minus", "times", "over", "squared", "cubed", "factorial", "mod", "modulo", "root", "choose", "divided",
    "multiplied", "power", "pi", "infinity", "infty", "inf", "sqrt", "sin", "cos", "tan", "log", "ln", "exp", "frac",
    "cdot", "and", "base", "remainder", "to", "by", "with", "less", "more", "fewer", "greater", "higher", "lower",
})  # fmt: skip
_SENTENCE = frozenset({
    "is", "are", "was", "were", "be", "been", "am", "has", "have", "had", "do", "does", "did", "can", "could", "may",
    "might", "should", "would", "will", "must", "seem", "equal", "give", "make", "mean", "answer", "result", "solution",
    "right", "correct", "true", "if", "when", "while", "where", "because", "since", "so", "then", "thus", "hence",
    "therefore", "but", "however", "maybe", "perhaps", "about", "around", "approx", "roughly", "least", "most", "than",
    "above", "below", "under", "up", "down", "maximum", "minimum", "in", "on", "at", "from", "as", "an", "the", "this",
    "that", "these", "those", "which", "who", "what", "there", "here", "i", "you", "he", "she", "it", "we", "they",
    "all", "total", "altogether", "overall", "pm", "out", "too", "also", "only", "just", "else", "etc", "otherwise",
    "alternatively", "respectively", "unknown", "undefined", "guess",
})  # fmt: skip
NO_UNIT = NUMBER_WORDS | DENIALS | _OPERATIONS | _SENTENCE
_SHORT = frozenset({"of", "an", "a"})  # inside the name of a thing
MAX_WORDS = 4  # of the name of a thing

_SPELLINGS = (  # of one unit in a group, the first is its name
    ("dollar",), ("cent",), ("euro",), ("pound",), ("degree",), ("mm", "millimeter", "millimetre"),
    ("cm", "centimeter", "centimetre"), ("m", "meter", "metre"), ("km", "kilometer", "kilometre"),
    ("in", "inch", "inche"), ("ft", "foot", "feet"), ("yard", "yd"), ("mile", "mi"), ("mph",), ("s", "sec", "second"),
    ("min", "minute"), ("h", "hr", "hour"), ("day",), ("week",), ("month",), ("year", "yr"), ("mg", "milligram"),
    ("g", "gram"), ("kg", "kilogram"), ("ton",), ("ml", "milliliter", "millilitre"), ("l", "liter", "litre"), ("unit",),
    ("percent", "pct"), ("lb",), ("oz", "ounce"), ("J", "joule"), ("N", "newton"), ("W", "watt"), ("V", "volt"),
    ("A", "ampere", "amp"), ("C", "coulomb"), ("K", "kelvin"), ("F", "farad"), ("H", "henry"), ("T", "tesla"),
    ("Pa", "pascal"), ("Hz", "hertz"), ("Ω", "ohm"), ("celsius",), ("fahrenheit",), ("person", "people"),
    ("child", "children"), ("man", "men"), ("woman", "women"), ("mouse", "mice"), ("tooth", "teeth"),
    ("loaf", "loaves"), ("leaf", "leaves"), ("knife", "knives"), ("shelf", "shelves"), ("penny", "pence"),
)  # fmt: skip
_NAMES = {spelling: group[0] for group in _SPELLINGS for spelling in group}
_COUNTED = ("person", "child", "man", "woman", "mouse", "tooth", "loaf", "leaf", "knife", "shelf", "penny")
MEASURES = frozenset(name for name in _NAMES.values() if name not in _COUNTED)
_SYMBOL = re.compile(
    r"[pnuµμmkMGT]?(?:J|N|W|V|A|C|K|F|H|T|Pa|Hz|eV|Wb|Sv|Bq|Gy|Wh|mol|cal|bar|ohm|Ω)"
    r"|[nuµμ][mgslL]|[mck]?L|[kMGT]?B|ms|cd|lm|lx|rad|sr|atm|psi|rpm|hp|kn"
)
_LETTERS = frozenset({"cd", "kn", "lm", "lx", "sr", "nl", "ul", "um", "us", "ug"})  # may be a product
_POWERS = {"square": "2", "sq": "2", "cubic": "3", "cu": "3"}
_FACTORS = re.compile(r"\s*[*·⋅]\s*|\s*\\cdot\s*|\s+")
_RAISED = re.compile(r"(?P<base>\S*?[^\d\s^{}-])(?:\^?\{?(?P<power>-?\d)\}?)?")
_THING = re.compile(r"[A-Za-z]+(?:['’./-][A-Za-z]+)*")


@lru_cache(maxsize=4096)
def unit_name(text: str, power: str | None = None, in_text: bool = False) -> str | None:
    r"""Return the name of a unit, `cm^2` for `cm^2`, `square cm` and `square centimeters`; None for what is no unit.

    power: written behind it. in_text: it stands in `\text{}`, where a capital makes no name and one letter no variable.
    """
    words = text.replace("~", " ").strip(" .,;").split()
    if not words:
        return "" if in_text else None
    name = _measure(words) or _symbols(" ".join(words), in_text) or _thing(words, in_text)
    if name is None and len(words) == 1 and not _is_no_unit(words[0].lower()) and is_symbol(words[0]):
        name = words[0]
    return f"{name}^{power}" if name and power else name


def measure_name(text: str, power: str | None = None) -> str | None:
    """Return the name of a unit of the table, or of one per another; None for any other text, and a lone capital."""
    name = None if len(text) == 1 and text.isupper() else _measure(text.split())
    return f"{name}^{power}" if name and power else name


def is_measure(word: str) -> bool:
    """Return whether the word is a unit of the table, singular or plural."""
    return _one(word if len(word) == 1 else word.lower()) in MEASURES


def _measure(words: list[str]) -> str | None:
    """Units of the table, one or one per another."""
    first, *rest = " ".join(words).replace("/", " per ").split() or [""]
    power = _POWERS.get(first.lower())
    spelt = rest if power else [first, *rest]
    if not spelt:
        return None
    if spelt[0].lower() in ("degree", "degrees") and len(spelt) == 2:  # Celsius or Fahrenheit
        spelt = spelt[1:]
    if len(spelt) not in (1, 3) or spelt[1:2] not in ([], ["per"]) or not all(map(is_measure, spelt[::2])):
        return None
    names = [_one(word if len(word) == 1 else word.lower()) for word in spelt]
    joined = "mph" if names == ["mile", "per", "h"] else "/".join(names[::2])
    return f"{joined}^{power}" if power else joined


def _symbols(text: str, in_text: bool) -> str | None:
    """Symbols of units: `kJ`, `N m`, `J/(kg K)`; alone, without `text`, not those that may be letters of a product."""
    names: list[str] = []
    for place, part in enumerate(re.split(r"\s*(?:/|\bper\b)\s*", re.sub(r"[()]", "", text))):
        for factor in _FACTORS.split(part):
            found = _RAISED.fullmatch(factor)
            if found is None or not (_SYMBOL.fullmatch(found["base"]) or is_measure(found["base"])):
                return None
            base = found["base"]
            name = _one(base.lower() if len(base) > 1 else base) if is_measure(base) else base
            names.append(f"{'/' if place else '*'}{name}{'^' + found['power'] if found['power'] else ''}")
    if len(names) == 1 and not in_text and names[0][1:] in _LETTERS:
        return None
    return "".join(sorted(names)).removeprefix("*")


def _thing(words: list[str], in_text: bool) -> str | None:
    """The name of what is counted, in the singular: words in small letters, none of which changes the number."""
    if len(words) > MAX_WORDS or not all(_THING.fullmatch(word) for word in words):
        return None
    small = [word.lower() for word in words]
    spelt = small if in_text else words
    changed = any(map(_is_no_unit, small))
    adverb = len(small[-1]) > 3 and small[-1].endswith("ly")
    letters = not in_text and not (_is_spoken(small[-1]) and all(_is_spoken(word) or word in _SHORT for word in small))
    if spelt != small or changed or adverb or letters:
        return None
    return " ".join([*small[:-1], _one(small[-1] if len(small[-1]) > 1 else words[-1])])


def _is_no_unit(word: str) -> bool:
    return word in NO_UNIT or (_one(word) in NO_UNIT and word not in ("seconds", "quarters"))


def _is_spoken(word: str) -> bool:
    """Whether it is a word, not the letters of a product (`abc`): of three or more, with a vowel, not in a row."""
    in_a_row = all(ord(after) == ord(letter) + 1 for letter, after in pairwise(word))
    return len(word) > 2 and not in_a_row and not set("aeiouy").isdisjoint(word)


def _one(word: str) -> str:
    """The singular, by its spelling, and of a unit its name."""
    if word in _NAMES:
        return _NAMES[word]
    if len(word) > 4 and word.endswith("ies"):
        singular = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        singular = word[:-2]
    else:
        singular = word[:-1] if len(word) > 2 and word.endswith("s") and not word.endswith("ss") else word
    return _NAMES.get(singular, singular)
