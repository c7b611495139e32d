"""Descriptions of tools and parameters said anew, and the names in them.

The built-in calculator's texts have another wording each. Any other text stands in a sentence of its own, so that it
still says all that it said.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

REWORDED = {
    "Add two numbers.": "The total of two values.",
    "First number.": "One value.",
    "Second number.": "The other value.",
    "Subtract b from a.": "What is left of a once b is taken away.",
    "Number to subtract from.": "Value that something is taken from.",
    "Number to subtract.": "Value that is taken away.",
    "Multiply two numbers.": "The product of two values.",
    "Divide a by b.": "The quotient of a over b.",
    "Dividend.": "Value above the line of the fraction.",
    "Divisor, not 0.": "Value below the line of the fraction; zero is not allowed.",
    "Remainder of a divided by b.": "What a leaves over when b has gone into it as often as it can.",
    "Raise base to exponent.": "A value times itself, as often as a second value says.",
    "Number to raise.": "Value that is multiplied by itself.",
    "Power to raise it to.": "How often it stands in the product.",
    "Add all numbers of a list.": "The total of a whole list.",
    "Numbers to add.": "Values that are totalled.",
    "Round down to a whole number.": "The largest integer that is not above a value.",
    "Round up to a whole number.": "The smallest integer that is not below a value.",
    "Number to round.": "Value to bring to fewer places.",
    "Round to a number of decimals.": "The nearest value with so many places behind the point.",
    "Decimals to keep, 0 by default.": "Places behind the point that stay; none where it is left out.",
    "Square root.": "The value that gives this one when multiplied by itself.",
    "Number that is not negative.": "Zero or any value above it.",
    "Absolute value.": "The distance of a value from zero.",
    "Any number.": "Value of either sign.",
}
"""The texts of the built-in calculator, each with another one that says the same."""

SENTENCES = ("What it does: {}", "Use it for this: {}", "Purpose: {}")
MEANINGS = ("Meaning: {}", "Give here: {}", "Stands for: {}")


def said_anew(text: str, sentences: tuple[str, ...], rng: random.Random) -> str:
    """Say a description in other words; sentences: those that a text without another wording may stand in."""
    return REWORDED.get(text) or (rng.choice(sentences).format(text) if text else "")


def with_names(text: str, new: Mapping[str, str]) -> str:
    """Replace the names of parameters that a description uses by the new ones.

    Only letters (`Subtract b from a.`) and names that are no plain word (`max_items`) are taken for names. The letter
    `a` is one where the text names another parameter too.
    """
    names = {name for name in new if len(name) == 1 or not name.isalpha() or name != name.lower()}
    found = {name for name in names if re.search(_whole(name), text)}
    if found == {"a"}:
        return text
    pattern = "|".join(_whole(name) for name in sorted(found, key=len, reverse=True))
    return re.sub(pattern, lambda match: new[match.group()], text) if found else text


def _whole(name: str) -> str:
    return rf"(?<!\w){re.escape(name)}(?!\w)"
