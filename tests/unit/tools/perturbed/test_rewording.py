"""Descriptions said anew, and the names of parameters in them."""

import random

from mentor.tools import Toolset
from mentor.tools.perturbed.rewording import MEANINGS, REWORDED, SENTENCES, said_anew, with_names


def test_every_text_of_the_calculator_has_another_wording():
    functions = [schema["function"] for schema in Toolset.builtin("calculator").schemas]
    texts = {function["description"] for function in functions}
    texts |= {below["description"] for function in functions for below in function["parameters"]["properties"].values()}
    assert texts == set(REWORDED)
    assert len(set(REWORDED.values()) - texts) == len(REWORDED), "no two texts become one"


def test_another_text_is_kept_in_a_sentence():
    assert said_anew("Square root.", SENTENCES, random.Random(0)) == REWORDED["Square root."]
    assert said_anew("Find a parcel", ("Purpose: {}",), random.Random(0)) == "Purpose: Find a parcel"
    assert said_anew("", MEANINGS, random.Random(0)) == ""


def test_letters_and_identifiers_are_replaced_and_words_are_not():
    new = {"a": "leaf", "b": "thread", "text": "drum", "max_items": "stone", "unitPrice": "lamp"}
    assert with_names("Subtract b from a.", new) == "Subtract thread from leaf."
    assert with_names("Search a text, at most max_items.", new) == "Search leaf text, at most stone."
    assert with_names("Search a text.", new) == "Search a text."
    assert with_names("The unitPrice of max_items2", new) == "The lamp of max_items2"
    assert with_names("Swap a and b", {"a": "b", "b": "a"}) == "Swap b and a"
