"""Reward settings by name, and what is refused of them."""

from typing import Any

import pytest

from mentor.errors import ConfigError
from mentor.rewards import PRESETS, build_reward, check_settings, load_preset

NAMES = ("correct", "match", "valid")
MAPPINGS = {  # term, weight and wrong_scale of the three terms
    "sparse": (("correct", 1.0, 1.0), ("bag_f1", 0.0, 0.2), ("valid", 0.0, 1.0)),
    "strict": (("correct", 0.6, 1.0), ("sequence_args", 0.3, 0.2), ("valid", 0.1, 1.0)),
    "flexible": (("correct", 0.6, 1.0), ("coverage", 0.3, 0.2), ("valid", 0.1, 0.0)),
    "flexible_f1": (("correct", 0.6, 1.0), ("bag_f1", 0.3, 0.2), ("valid", 0.1, 1.0)),
    "results": (("correct", 0.68, 1.0), ("results", 0.3, 1.0), ("valid", 0.02, 1.0)),
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_preset_is_a_mapping_of_terms(name: str) -> None:
    terms = {
        of: {"term": term, "weight": weight, "gate": "none", "wrong_scale": scale}
        for of, (term, weight, scale) in zip(NAMES, MAPPINGS[name], strict=True)
    }
    assert load_preset(name)["terms"] == terms


@pytest.mark.parametrize("number", [float("nan"), float("inf"), True, "0.3"])
def test_a_weight_is_a_finite_number(number: Any) -> None:
    with pytest.raises(ConfigError, match="reward.weights.tool=.* is not accepted, accepted: a number in"):
        check_settings({"name": "x", "weights": {"tool": number}})


def test_every_preset_is_built_and_closed() -> None:
    assert set(PRESETS) >= {"sparse", "strict", "flexible", "released_sparse", "released_mentor", "released_f1"}
    for name in PRESETS:
        settings = load_preset(name)
        assert settings["name"] == name
        with build_reward(**settings) as reward:
            assert reward.name == name


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"matcher": "bag"}, "reward.matcher='bag'"),
        ({"gate": "all"}, "reward.gate"),
        ({"anneal": "epoch"}, "reward.anneal='epoch' is not accepted, accepted: none, group, run"),
        ({"family": "released", "matcher": "mentor", "anneal": "group"}, "reward.anneal='group' is not accepted"),
        ({"family": "mine"}, "reward.family"),
        ({"weights": {"tool": -0.1}}, "reward.weights.tool"),
        ({"weights": {"tools": 0.1}}, "reward.weights.tools"),
        ({"floor": 0}, "reward.floor"),
        ({"grader_workers": 0}, "reward.grader_workers"),
        ({"family": "released", "matcher": "mentor", "weights": {"tool": 0.3}}, "reward.weights"),
    ],
)
def test_settings_that_are_not_accepted(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        build_reward(name="x", **changes)


def test_an_unknown_preset_lists_the_names() -> None:
    with pytest.raises(ConfigError, match="'flexibel'.*flexible.*strict"):
        load_preset("flexibel")
