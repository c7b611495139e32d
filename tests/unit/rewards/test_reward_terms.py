"""The mapping of terms: what is refused of it, and what each built-in term has to know."""

from dataclasses import replace

import pytest

from mentor.errors import ConfigError
from mentor.rewards.reward_terms import BUILTIN, TermSettings, read_terms
from tests.unit.rewards.builders import HONEST, make_trajectory


def test_terms_are_read_with_their_defaults():
    assert read_terms({"names": {"term": "set", "weight": 1, "gate": None}}) == {"names": TermSettings("set", 1.0)}


@pytest.mark.parametrize(
    ("name", "term", "said"),
    [
        (
            "brief",
            {"weight": 0.1},
            "`reward.terms.brief.term` is not set, which every term has; terms",
        ),
        ("brief", {"term": "set"}, "`reward.terms.brief.weight` is not set"),
        (
            "brief",
            {"term": "bag", "weight": 1},
            "`reward.terms.brief.term=bag` is not accepted; did you mean `bag_f1`?",
        ),
        ("brief", {"term": "set", "weight": 1, "wieght": 2}, "`reward.terms.brief.wieght` is not a key; did you mean"),
        ("brief", {"term": "set", "weight": "x"}, "`reward.terms.brief.weight=x` is not accepted; accepted: 0 or more"),
        ("brief", {"term": "set", "weight": -1}, "`reward.terms.brief.weight=-1` is not accepted; accepted: 0 or more"),
        ("brief", {"term": "set", "weight": 1, "wrong_scale": 2}, "wrong_scale=2` is not accepted; accepted: 0 to 1"),
        (
            "brief",
            {"term": "set", "weight": 1, "gate": "no"},
            "gate=no` is not accepted; accepted: none, outcome, group",
        ),
        ("brief", {"term": "correct", "weight": 1}, "the term correct is called correct, and no other one is"),
        ("correct", {"term": "valid", "weight": 1}, "the term correct is called correct, and no other one is"),
        ("total", {"term": "set", "weight": 1}, "'total' names no term; accepted: letters, digits and _, but for"),
        ("a.b", {"term": "set", "weight": 1}, "'a.b' names no term"),
    ],
)
def test_what_is_not_accepted(name, term, said):
    with pytest.raises(ConfigError) as raised:
        read_terms({name: term})
    assert said in str(raised.value)


def test_what_a_term_has_to_know_of_a_task():
    task, unknown = make_trajectory().task, make_trajectory(teacher=None).task
    assert BUILTIN["set"].lacks(task) is None and BUILTIN["set"].lacks(unknown) == "reference calls"
    assert BUILTIN["results"].lacks(task) == "results of its reference calls"
    assert BUILTIN["results"].lacks(replace(task, reference=())) is None
    assert BUILTIN["valid"].lacks(unknown) == "reference calls"
    assert BUILTIN["set"].grades([make_trajectory(calls=HONEST), make_trajectory()]) == [1.0, 0.0]
