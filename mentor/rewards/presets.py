"""Reward settings by name: reads `conf/reward/<name>.yaml` without Hydra and builds the reward it describes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mentor.conf_dir import conf_dir
from mentor.config import RewardConfig
from mentor.errors import ConfigError
from mentor.rewards.composite import GATES, CompositeReward, Formula
from mentor.rewards.correctness import Grader
from mentor.rewards.grader_pool import GraderPool
from mentor.rewards.released import RELEASED, ReleasedJudge, ReleasedReward
from mentor.rewards.tool_match import MATCHERS

Reward = CompositeReward | ReleasedReward

_PROJECT_ONLY = ("weights", "wrong_scale", "gate", "floors", "max_ungraded")


def preset_names() -> tuple[str, ...]:
    """Return the names of the files in conf/reward, sorted."""
    return tuple(sorted(path.stem for path in (conf_dir() / "reward").glob("*.yaml")))


PRESETS = preset_names()


def load_preset(name: str) -> dict[str, Any]:
    """Read the settings of one preset over the defaults of RewardConfig. Raises ConfigError for an unknown name."""
    from omegaconf import OmegaConf

    if name not in PRESETS:
        raise ConfigError(f"unknown reward preset {name!r}, accepted: {', '.join(PRESETS)}")
    preset = OmegaConf.to_container(OmegaConf.load(conf_dir() / "reward" / f"{name}.yaml"))
    assert isinstance(preset, dict)
    preset.pop("defaults", None)
    settings = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(RewardConfig), preset))
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


def build_reward(pool: GraderPool | None = None, **settings: Any) -> Reward:
    """Build a reward from the keys of RewardConfig (weights and floors as dicts); keys left out keep their defaults.

    With `pool` several rewards share grader processes and cached verdicts; the caller closes the pool.
    Raises ConfigError for a value or combination that is not accepted.
    """
    check_settings(settings)
    complete = _with_defaults(settings)
    timeout_s, workers = complete["grader_timeout_s"], complete["grader_workers"]
    if complete["family"] == "released":
        return ReleasedReward(complete["name"], complete["matcher"], ReleasedJudge(timeout_s, workers, pool))
    return CompositeReward(
        name=complete["name"],
        matcher=MATCHERS[complete["matcher"]],
        formula=Formula(complete["weights"], complete["wrong_scale"], complete["gate"], complete["floors"]),
        grader=Grader(timeout_s, workers, pool),
        max_ungraded=complete["max_ungraded"],
        workers=workers,
    )


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check all settings without starting anything. Raises ConfigError naming the first key that is not accepted."""
    defaults = asdict(RewardConfig())
    for key in settings:
        _require(key in defaults, key, settings[key], f"only the keys {', '.join(defaults)}")
    settings = _with_defaults(settings)
    _choice("family", settings["family"], ("project", "released"))
    _choice("gate", settings["gate"], GATES)
    released = settings["family"] == "released"
    _choice("matcher", settings["matcher"], RELEASED if released else tuple(MATCHERS))
    for section in ("weights", "floors"):
        keys = ", ".join(defaults[section])
        for key, value in settings[section].items():
            _require(key in defaults[section], f"{section}.{key}", value, f"only the keys {keys}")
            _number(f"{section}.{key}", value, -math.inf if section == "floors" else 0.0, math.inf)
    _number("wrong_scale", settings["wrong_scale"], 0.0, 1.0)
    _number("max_ungraded", settings["max_ungraded"], 0.0, 1.0)
    _require(settings["grader_timeout_s"] > 0, "grader_timeout_s", settings["grader_timeout_s"], "seconds above 0")
    _require(settings["grader_workers"] >= 1, "grader_workers", settings["grader_workers"], "1 or more")
    for key in _PROJECT_ONLY if released else ():
        fixed = settings[key] == defaults[key]
        _require(fixed, key, settings[key], "only the default: a released reward keeps the authors' own numbers")


def _with_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    complete = {**asdict(RewardConfig()), **settings}
    for key, section in asdict(RewardConfig()).items():
        if isinstance(section, dict):
            complete[key] = {**section, **complete[key]}
    return complete


def _choice(key: str, value: Any, accepted: tuple[str, ...]) -> None:
    _require(value in accepted, key, value, ", ".join(accepted))


def _number(key: str, value: Any, low: float, high: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    _require(is_number and math.isfinite(value) and low <= value <= high, key, value, f"a number in [{low}, {high}]")


def _require(accepted: bool, key: str, value: Any, what: str) -> None:
    if not accepted:
        raise ConfigError(f"reward.{key}={value!r} is not accepted, accepted: {what}")
