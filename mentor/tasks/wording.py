"""How a calculator program is asked in words: one table of phrases for training, one for the `wording` split only.

The operations are always named in order, so a question determines its program.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from mentor.tasks.programs import Program, evaluate, is_reference, number_text


@dataclass(frozen=True)
class Phrases:
    """Word forms of one tool; `x` is its first argument, `y` the others.

    opening: the first step as a noun; later: appended to a noun; command: an instruction about the number at hand;
    story: a sentence about a count of things, empty where a count cannot do that.
    """

    opening: str
    later: str
    command: str
    story: str = ""


@dataclass(frozen=True)
class Wording:
    """A table of phrases with the sentences around them. `{subject}` is a name, `{things}` what is counted."""

    phrases: dict[str, Phrases]
    asked: tuple[str, ...]  # around the noun form
    commanded: tuple[tuple[str, str], ...]  # before the first command and after the last
    told: tuple[tuple[str, str], ...]  # before the first story sentence and after the last
    subjects: tuple[str, ...]
    things: tuple[str, ...]
    joint: str  # between steps


TRAINING = Wording(
    phrases={
        "add": Phrases("{x} plus {y}", "plus {y}", "add {y}", "{subject} gets {y} more."),
        "subtract": Phrases("{x} minus {y}", "minus {y}", "subtract {y}", "{subject} gives away {y}."),
        "multiply": Phrases("{x} times {y}", "times {y}", "multiply by {y}", "Now there are {y} times as many."),
        "divide": Phrases("{x} divided by {y}", "divided by {y}", "divide by {y}", "They are shared by {y} people."),
        "modulo": Phrases("{x} modulo {y}", "modulo {y}", "take the remainder by {y}", "The remainder by {y} is left."),
        "power": Phrases("{x} to the power {y}", "to the power {y}", "raise to the power {y}"),
        "sum_numbers": Phrases("the sum of {x}, {y}", "summed with {y}", "sum with {y}", "{subject} finds {y} more."),
        "floor": Phrases("{x} rounded down", "rounded down", "round down"),
        "ceil": Phrases("{x} rounded up", "rounded up", "round up"),
        "sqrt": Phrases("the square root of {x}", "its square root", "take the square root"),
        "abs_value": Phrases("the absolute value of {x}", "its absolute value", "take the absolute value"),
        "round_number": Phrases("{x} rounded to {y} digits", "rounded to {y} digits", "round to {y} digits"),
    },
    asked=("What is {noun}?", "Compute {noun}.", "Find {noun}."),
    commanded=(("Start with {x}, ", "."), ("Take {x}, ", ". What is the result?")),
    told=(("{subject} has {x} {things}.", "How many now?"), ("{subject} finds {x} {things}.", "How many now?")),
    subjects=("Tom", "Anna", "Ben", "Mia"),
    things=("apples", "books", "coins", "stars"),
    joint=", then ",
)

UNSEEN = Wording(
    phrases={
        "add": Phrases("{y} added to {x}", "with {y} added", "get {y} more", "Plus {y}."),
        "subtract": Phrases("{y} subtracted from {x}", "with {y} subtracted", "give away {y}", "Minus {y}."),
        "multiply": Phrases("{y} times as many as {x}", "multiplied by {y}", "get {y} times as many", "Times {y}."),
        "divide": Phrases("{x} shared by {y}", "shared by {y}", "share by {y}", "Divided by {y}."),
        "modulo": Phrases("the remainder of {x} by {y}", "the remainder by {y}", "go modulo {y}", "Then modulo {y}."),
        "power": Phrases("{x} raised to {y}", "raised to {y}", "get the power {y}"),
        "sum_numbers": Phrases("{y} summed with {x}", "the sum with {y}", "find the sum with {y}", "Sum with {y}."),
        "floor": Phrases("{x} taken down", "round it down", "go down to a whole number"),
        "ceil": Phrases("{x} taken up", "round it up", "go up to a whole number"),
        "sqrt": Phrases("the root of {x}", "the square root of that", "find the root"),
        "abs_value": Phrases("the absolute of {x}", "the absolute value of that", "find its absolute value"),
        "round_number": Phrases("{x} with {y} digits", "with {y} digits", "keep {y} digits"),
    },
    asked=("Tell me {noun}.", "How many is {noun}?"),
    commanded=(("The number is {x}: ", "."), ("With {x} at the start, ", ". Tell me the number.")),
    told=(("{x} {things} are here.", "Tell me how many."),),
    subjects=("Zoe", "Max"),
    things=("birds", "cakes"),
    joint=" and after that ",
)


def _first_and_rest(program: Program) -> list[tuple[str, str, str]]:
    """(tool, text of its first argument, text of the others) for every step; the first is empty for a reference."""
    texts = []
    for entry in program:
        values = entry["arguments"].get("numbers") or list(entry["arguments"].values())
        first = "" if is_reference(values[0]) else number_text(values[0])
        *others, last = [number_text(value) for value in values[1:]] or [""]
        texts.append((entry["name"], first, f"{', '.join(others)} and {last}" if others else last))
    return texts


def ask(program: Program, wording: Wording, rng: random.Random) -> str:
    """Ask a program as a noun, as commands or, where every tool has a story, as a story.

    Every step but the first must take the result of the one before as its first argument.
    """
    steps = _first_and_rest(program)
    start = steps[0][1]
    subject, things = rng.choice(wording.subjects), rng.choice(wording.things)
    stories = [wording.phrases[name].story.format(y=others, subject=subject) for name, _, others in steps]
    counts = all(isinstance(result, int) and result >= 0 for result in evaluate(program))
    tellable = all(stories) and counts and not any("." in first + others for _, first, others in steps)
    form = rng.choice(("noun", "commands", "story") if tellable else ("noun", "commands"))
    if form == "story":
        opening, closing = rng.choice(wording.told)
        return " ".join([opening.format(x=start, subject=subject, things=things), *stories, closing])
    if form == "commands":
        opening, closing = rng.choice(wording.commanded)
        commands = [wording.phrases[name].command.format(y=others) for name, _, others in steps]
        return opening.format(x=start) + wording.joint.join(commands) + closing
    nouns = [wording.phrases[name].later.format(y=others) for name, _, others in steps]
    nouns[0] = wording.phrases[steps[0][0]].opening.format(x=start, y=steps[0][2])
    return rng.choice(wording.asked).format(noun=wording.joint.join(nouns))
