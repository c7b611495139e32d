"""Plain numbers in answers: `1,234`, `-3/4`, `\\frac12`, `1 1/2`, `4e5`, `9 \\times 10^5`, `$12.50`, `62\\%`, `5 cm`.

Read by `answers.py`; values are exact fractions, so nothing is lost on long integers or many decimals.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from mentor.rewards.unit_registry import conversion
from mentor.rewards.units import measure_name, unit_name

MAX_CHARS = 1000  # of a plain number
MAX_LAYERS = 6  # of delimiters, wrappers and braces round an answer

_DECIMAL = r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)"
_PLAIN = re.compile(rf"(?P<number>{_DECIMAL})(?:[eE](?P<exponent>[-+]?\d{{1,3}}))?")
_SCIENTIFIC = re.compile(
    rf"(?P<number>{_DECIMAL})\s*(?:\\times|\\cdot|\*|×)\s*10\s*(?:\^|\*\*)\s*"
    r"(?:\{\s*(?P<braced>[-+]?\d{1,3})\s*\}|(?P<bare>[-+]?\d{1,3}))"
)
_RATIO = re.compile(rf"(?:(?P<whole>\d{{1,9}})\s+)?(?P<top>{_DECIMAL})\s*/\s*(?P<bottom>{_DECIMAL})")
_FRACTION = re.compile(
    rf"(?P<whole>\d{{1,9}})?\s*\\[dtc]?frac\s*\{{\s*(?P<top>-?{_DECIMAL})\s*\}}\s*\{{\s*(?P<bottom>-?{_DECIMAL})\s*\}}"
)
_REPEATING = re.compile(r"(?P<whole>\d*)\.(?P<fixed>\d*)\\(?:overline|bar)\s*\{(?P<period>\d+)\}")
_CURRENCY = re.compile(r"(?P<before>[-+]?)\s*(?:\\?\$|€|£|¥|₹)\s*(?P<after>[-+]?.*)", re.DOTALL)
_PERCENT = re.compile(r"(?P<number>.*?)\s*(?:\\?%|per ?cent|pct)", re.DOTALL | re.IGNORECASE)
_TAIL = re.compile(
    r"(?P<number>.*?)\s*(?:(?P<degree>\^\s*\{?\s*\\circ\s*\}?)"
    r"|(?:\\(?:text|mathrm|textrm|mbox)\s*\{(?P<latex>[^{}\\]{0,60})\}"
    r"|(?<=\s)(?P<word>(?:(?:square|cubic|sq|cu) )?[A-Za-z]+(?:(?: per |/)[A-Za-z]+)?)"
    r"|(?<=[\d}])(?P<glued>[A-Za-z]{2,}))"
    r"(?:\s*\^\s*(?:(?P<power>\d)|\{\s*(?P<braced>\d)\s*\}))?)",
    re.DOTALL,
)
_COUNTED = re.compile(
    r"(?P<number>(?:[^A-Za-z\\]|\\(?:[dtc]?frac|times|cdot|overline)(?![A-Za-z]))*[\d}])\s+"
    r"(?P<things>[A-Za-zµμΩ][^\\{}$=,;:!?0-9]{0,60}(?:\^?\{?-?\d\}?)?)"
)
_WRAPPER = re.compile(r"\\(?:text|mathrm|textbf|textit|textrm|mathbf|mbox)\s*\{([^{}]*)\}")
PRIME = r"\prime"
# What is written in several ways, and the one that is read here.
_SPELT: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\varnothing(?![A-Za-z])"), r"\\emptyset"),
    (re.compile(r"\\([lgn])e(?![A-Za-z])"), r"\\\1eq"),
    (re.compile(r"\\([lr])brace(?![A-Za-z])"), lambda found: "\\{" if found[1] == "l" else "\\}"),
    (re.compile(r"\\(?:ldots|cdots)(?![A-Za-z])"), r"\\dots"),
    (re.compile(r"\\\\\[\d+pt\]"), r"\\\\"),
    (re.compile(r"(?<![A-Za-z])([A-Za-z])('+)(?![A-Za-z])"), lambda found: f"{found[1]}^{{{PRIME * len(found[2])}}}"),
    (re.compile(r"\^\s*\\prime(?![A-Za-z])"), r"^{\\prime}"),
    (re.compile(r"^\s*(?:\\approx|≈)"), ""),
    (re.compile(r"√\s*(\d+|[A-Za-z])"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\A-Za-z])sqrt\s*(\d+)"), r"\\sqrt{\1}"),
    (re.compile(r"\\([dtc]?frac)\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))"), r"\\\1{\2\3}{\4\5}"),
    (re.compile(r"(\\(?:text|mathrm)\s*\{[A-Za-z ]+)\}\s*/\s*\\(?:text|mathrm)\s*\{\s*([A-Za-z ]+\})"), r"\1/\2"),
)
_THOUSANDS = re.compile(r"(?<![\w.,^\\])\d{1,3}(?: \d{3})+(?!\d| ?/)")
_DEGREE = re.compile(r"\^\s*\{\s*\\degree\s*\}|\^?\s*\\degree(?![A-Za-z])")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_READ_AS: dict[int, int | str] = {
    **_FULL_WIDTH,
    **str.maketrans("\u3000、。−", " ,.-"),
    **dict.fromkeys(map(ord, "°º˚"), r"^{\circ}"),
}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SPACING = re.compile(r"\\(?:left|right|displaystyle|[bB]igg?[lrm]?)(?![A-Za-z])|(?<!\\)\\[!,;: ]|~")
_DELIMITERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))


@dataclass(frozen=True)
class Quantity:
    """A plain number. `exact`: written without decimal point or exponent. `unit`: empty where none was given."""

    value: Fraction
    exact: bool
    percent: bool = False
    unit: str = ""


def clean(text: str) -> str:
    """Drop math delimiters, spacing commands, redundant outer braces and a final full stop; unify spellings."""
    if not text.isascii():
        text = _in_ascii(text)
    text = re.sub(r"\s+", " ", _SPACING.sub(" ", text.replace(r",\!", ","))).strip()
    if "\\degree" in text:
        text = _DEGREE.sub(r"^{\\circ}", text)
    for written, read in _SPELT:
        text = written.sub(read, text)
    text = _THOUSANDS.sub(lambda number: number[0].replace(" ", ""), text)
    for _ in range(MAX_LAYERS):
        layered, text = text, _unwrap(text)
        if text == layered:
            break
    return text


def _in_ascii(text: str) -> str:
    """Unify full-width characters, raised digits, fractions of one character, and the signs for minus and degrees."""
    text = text.translate(_READ_AS)
    text = re.sub("[⁰¹²³⁴-⁹⁻]+", lambda raised: f"^{{{raised[0].translate(_RAISED)}}}", text)
    return re.sub("[¼-¾⅐-⅞]", _vulgar, text)


def _vulgar(fraction: re.Match[str]) -> str:
    """`\\frac{1}{2}` for the one character of a half."""
    top, _, bottom = unicodedata.normalize("NFKC", fraction[0]).partition("\u2044")
    return f"\\frac{{{top}}}{{{bottom}}}"


def _unwrap(text: str) -> str:
    """Remove one layer of delimiters, or return the same text."""
    for left, right in _DELIMITERS:
        if len(text) > len(left + right) and text.startswith(left) and text.endswith(right):
            inner = text[len(left) : -len(right)]
            if left not in inner:
                return inner.strip()
    if whole := _WRAPPER.fullmatch(text):
        return whole[1].strip()
    if text.startswith("{") and text.endswith("}") and _closes_at_end(text):
        return text[1:-1].strip()
    if text.endswith(".") and not text.endswith(".."):
        return text[:-1].rstrip()
    return text


def _closes_at_end(text: str) -> bool:
    depth = 0
    for position, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return position == len(text) - 1
    return False


def parse_quantity(text: str) -> Quantity | None:
    """Read a cleaned text as a number with its percent sign or unit; None where it is anything else."""
    if len(text) > MAX_CHARS:
        return None
    unit, percent = "", False
    if with_currency := _CURRENCY.fullmatch(text):
        text, unit = with_currency["before"] + with_currency["after"], "dollar" if "$" in text else "currency"
    if with_percent := _PERCENT.fullmatch(text):
        text, percent = with_percent["number"], True
    elif with_unit := _with_things(text) or _with_unit(text):
        text, unit = with_unit
        percent = unit == "percent"
    value, exact = _number(text)
    return None if value is None else Quantity(value, exact, percent, "" if percent else unit)


def unit_of(text: str) -> str:
    """Return the unit that a cleaned text ends with, empty without one."""
    found = _with_unit(text)
    return found[1] if found else ""


def without_unit(text: str) -> str:
    """Return a cleaned text without the unit that it ends with."""
    found = _with_unit(text)
    return found[0] if found else text


def _with_unit(text: str) -> tuple[str, str] | None:
    """What stands before a unit at the end of any mathematics, and its name: in `\\text{}`, or a known measure."""
    found = _TAIL.fullmatch(text)
    if found is None:
        return None
    if found["degree"]:
        return found["number"], "degree"
    power = found["power"] or found["braced"]
    if found["latex"] is not None:
        name = unit_name(found["latex"], power, in_text=True)
    else:
        name = measure_name(found["word"] or found["glued"], power)
    return None if name is None else (found["number"], name)


def _with_things(text: str) -> tuple[str, str] | None:
    """The number before a bare unit or things that are counted (`12 J`, `72 clips`), and their name."""
    found = _COUNTED.fullmatch(text)
    name = unit_name(found["things"]) if found else None
    return None if found is None or name is None else (found["number"], name)


def _number(text: str) -> tuple[Fraction | None, bool]:
    """Return the signed value, and whether it is exact."""
    sign, text = (-1, text[1:].strip()) if text.startswith("-") else (1, text.removeprefix("+").strip())
    if match := _PLAIN.fullmatch(text):
        exponent = match["exponent"]
        return sign * _scaled(match["number"], exponent or "0"), exponent is None and "." not in text
    if match := _SCIENTIFIC.fullmatch(text):
        return sign * _scaled(match["number"], match["braced"] or match["bare"]), False
    if match := _REPEATING.fullmatch(text):
        return sign * _repeating(match["whole"], match["fixed"], match["period"]), True
    if (match := _RATIO.fullmatch(text)) or (match := _FRACTION.fullmatch(text)):
        value = _ratio(match)
        return None if value is None else sign * value, "." not in text
    return None, False


def _scaled(number: str, exponent: str) -> Fraction:
    return _fraction(number) * Fraction(10) ** int(exponent)


def _fraction(number: str) -> Fraction:
    return Fraction(number.replace(",", "").rstrip("."))


def _repeating(whole: str, fixed: str, period: str) -> Fraction:
    nines = 10 ** len(fixed) * (10 ** len(period) - 1)
    return Fraction(int(whole + fixed + period) - int(whole + fixed or "0"), nines)


def _ratio(match: re.Match[str]) -> Fraction | None:
    """Return top over bottom plus the whole part of a mixed number.

    None for a division by zero, and for a mixed number with an improper fraction.
    """
    top, bottom = _fraction(match["top"]), _fraction(match["bottom"])
    if bottom == 0:
        return None
    whole = match.groupdict().get("whole")
    if not whole:
        return top / bottom
    return int(whole) + top / bottom if 0 <= top / bottom < 1 else None


def equal_quantities(given: Quantity, wanted: Quantity) -> bool:
    """Return whether they are equal by value and, where both have one, by unit. 62% is 62 and 0.62; 62 is not 0.62.

    Of two units that measure the same, one is converted.

    Two exact values must be equal. Where one is a decimal they may be 1e-6 apart (1e-6 of the wanted value where that
    is below 1); above 1e6 the last digits of a double are forgiven (1e-12 of the value).
    """
    if given.unit and wanted.unit and given.unit != wanted.unit:
        factor = conversion(given.unit, wanted.unit)
        if factor is None:
            return False
        given = replace(given, value=given.value * factor, exact=False)
    if given.percent != wanted.percent and (given.unit or wanted.unit):
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
