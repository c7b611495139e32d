"""Programs asked in words."""

import random

from mentor.tasks.programs import reference, step
from mentor.tasks.wording import TRAINING, UNSEEN, ask


def test_wording_never_uses_a_training_phrase():
    for tool, phrases in TRAINING.phrases.items():
        assert not set(vars(phrases).values()) & set(vars(UNSEEN.phrases[tool]).values()) - {""}
    for part in ("asked", "commanded", "told", "subjects", "things"):
        assert not set(getattr(TRAINING, part)) & set(getattr(UNSEEN, part))


def test_the_three_forms_of_a_question():
    program = [step("add", a=2, b=3), step("sqrt", x=reference(0))]
    asked = {ask(program, TRAINING, random.Random(seed)) for seed in range(60)}
    noun = "2 plus 3, then its square root"
    commands = "add 3, then take the square root"
    assert asked == {
        *(f"{opening} {noun}{end}" for opening, end in (("What is", "?"), ("Compute", "."), ("Find", "."))),
        f"Start with 2, {commands}.",
        f"Take 2, {commands}. What is the result?",
    }
    told = {ask(program[:1], UNSEEN, random.Random(seed)) for seed in range(60)}
    assert "2 birds are here. Plus 3. Tell me how many." in told and "Tell me 3 added to 2." in told


def test_a_list_of_numbers_is_joined_and_a_fraction_has_no_story():
    total = [step("sum_numbers", numbers=[1, 2, 3, 4])]
    assert "What is the sum of 1, 2, 3 and 4?" in {ask(total, TRAINING, random.Random(seed)) for seed in range(60)}
    halves = {ask([step("add", a=0.5, b=1)], TRAINING, random.Random(seed)) for seed in range(60)}
    assert not any("has" in question or "apples" in question for question in halves)
