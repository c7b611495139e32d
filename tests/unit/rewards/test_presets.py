"""Reward settings by name, and what is refused of them."""

from typing import Any

import pytest

from mentor.errors import ConfigError
from mentor.rewards import PRESETS, build_reward, check_settings, load_preset


def test_a_preset_is_its_file_over_the_defaults() -> None:
    strict = load_preset("strict")
    assert strict["matcher"] == "sequence_args" and strict["weights"] == {"correct": 0.6, "tool": 0.3, "valid": 0.1}
    results = load_preset("results")
    assert results["weights"] == {"correct": 0.68, "tool": 0.3, "valid": 0.02} and results["wrong_scale"] == 1.0
    assert load_preset("sparse")["weights"] == {"correct": 1.0, "tool": 0.0, "valid": 0.0}


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
