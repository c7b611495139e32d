"""Short keys of a reward: what they set, and rewards that are known by them."""

import pytest

from mentor.errors import ConfigError
from mentor.reward_keys import default_terms, in_short_keys, spelt_out

STORED = {  # as folders hold it that were made before there were terms
    "name": "flexible",
    "family": "project",
    "matcher": "bag_f1",
    "weights": {"correct": 0.6, "tool": 0.3, "valid": 0.1},
    "wrong_scale": 0.2,
    "gate": "none",
    "floors": {"unfinished": 0.0, "no_answer": 0.0},
}
TERMS = {
    "correct": {"term": "correct", "weight": 0.6},
    "match": {"term": "bag_f1", "weight": 0.3, "wrong_scale": 0.2},
    "valid": {"term": "valid", "weight": 0.1},
}
UNSET = {"matcher": None, "weights": dict.fromkeys(("correct", "tool", "valid")), "wrong_scale": None, "gate": None}


def test_short_keys_set_values_of_the_three_terms():
    found = spelt_out(default_terms(), STORED)
    assert found["match"] == {"term": "bag_f1", "weight": 0.3, "gate": "none", "wrong_scale": 0.2}
    assert [term["weight"] for term in found.values()] == [0.6, 0.3, 0.1]
    gated = spelt_out(TERMS, {**UNSET, "gate": "group", "weights": {"tool": 1}})
    assert [term["gate"] for term in gated.values()] == ["none", "group", "group"]
    assert gated["match"]["weight"] == 1.0 and TERMS["match"]["weight"] == 0.3
    assert list(spelt_out({**TERMS, "match": None}, UNSET)) == ["correct", "valid"]


def test_a_term_that_is_none_and_a_short_key_without_its_term():
    with pytest.raises(ConfigError, match=r"`reward.terms.match=0.3` is no term; accepted: {term: ..., weight"):
        spelt_out({**TERMS, "match": 0.3}, UNSET)
    with pytest.raises(
        ConfigError, match="`reward.weights.tool=0.1` is of the term match, which reward.terms does not"
    ):
        spelt_out({**TERMS, "match": None}, {"weights": {"tool": 0.1}})


def test_a_reward_that_short_keys_can_say_is_known_by_them():
    now = {**STORED, **UNSET, "terms": spelt_out(TERMS, UNSET)}
    assert in_short_keys(STORED) == STORED == in_short_keys(now)
    whole = {**now, "terms": {**now["terms"], "match": {**now["terms"]["match"], "weight": 1}}}
    assert in_short_keys(whole) == {**STORED, "weights": {"correct": 0.6, "tool": 1.0, "valid": 0.1}}
    released = {**STORED, "family": "released", "matcher": "mentor", "weights": {"correct": 1.0, "tool": 0, "valid": 0}}
    assert in_short_keys(released) == released


def test_another_term_or_a_gate_of_one_term_needs_the_terms():
    more = {**STORED, "terms": {**TERMS, "brief": {"term": "set", "weight": 0.1}}}
    assert in_short_keys(more)["terms"]["brief"] == {"term": "set", "weight": 0.1, "gate": "none", "wrong_scale": 1.0}
    assert "weights" not in in_short_keys(more)
    gated = {**STORED, **UNSET, "terms": {**TERMS, "valid": {"term": "valid", "weight": 0.1, "gate": "outcome"}}}
    assert in_short_keys(gated)["terms"]["valid"]["gate"] == "outcome"
