"""Reward settings by name: reads `conf/reward/<name>.yaml` without Hydra and builds the reward it describes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import Any

from mentor.conf_dir import conf_dir
from mentor.config import RewardConfig, build
from mentor.endpoints.background import BackgroundEndpoint
from mentor.errors import ConfigError
from mentor.jsonl import Report, warn
from mentor.reward_keys import SHORT_KEYS, default_terms, in_short_keys, spelt_out, value_at
from mentor.rewards.composite import CompositeReward, Formula
from mentor.rewards.correctness import Grader
from mentor.rewards.grader_pool import GraderPool
from mentor.rewards.own_grader import CORRECT, OwnGrader
from mentor.rewards.released import RELEASED, ReleasedJudge, ReleasedReward
from mentor.rewards.reward_terms import GATES, OwnTerms, build_term, check_own, files_of, read_terms
from mentor.rewards.tool_match import MATCHERS

Reward = CompositeReward | ReleasedReward

JUDGED_AT_ONCE = 8  # groups, while their answers are waited for
ANSWER = "answer"  # the grader of boxed answers

_UNFADED = {"anneal": "none", "anneal_until": 1.0, "anneal_steps": 10}
_PROJECT_ONLY = ("floors", "max_ungraded", "grader", "anneal")


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
    return _complete({str(key): value for key, value in settings.items()})


def described_reward(reward: RewardConfig | None, name: str | None) -> dict[str, Any] | None:
    """Return the settings of the reward that a command describes where it is no preset; None where it is one.

    name: what it is called, None for what it is made from. Raises ConfigError for one that is called as a preset is.
    """
    if reward is None:
        return None
    settings = asdict(reward)
    preset = settings["name"]
    plain = preset in PRESETS and _same(settings, load_preset(preset))
    if plain and name is None:
        return None
    label = name or preset
    if label in PRESETS and not (plain and label == preset):
        raise ConfigError(
            f"`reward` is not the preset {label}, and is called so; accepted: another name, name=<name>, which "
            "stage.presets names too"
        )
    return {**settings, "name": label}


def settings_of(name: str, described: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings of the described reward, where it has this name, else those of the preset."""
    return dict(described) if described is not None and described["name"] == name else load_preset(name)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both score alike: how terms fade in training changes no score."""
    first, second = (in_short_keys(_complete(settings)) for settings in (one, other))
    return {**first, **_UNFADED} == {**second, **_UNFADED}


def own_files(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the files of the user's that a reward reads, by a name for each."""
    named = {f"term_{name}": str(term["term"]) for name, term in settings["terms"].items()}
    return files_of({**named, "grader": settings["grader"]})


def build_reward(
    pool: GraderPool | None = None,
    report: Report = warn,
    judge: BackgroundEndpoint | None = None,
    by_turn: bool = False,
    **settings: Any,
) -> Reward:
    """Build a reward from the keys of RewardConfig (weights and floors as dicts); keys left out keep their defaults.

    With `pool` several rewards share grader processes and cached verdicts; the caller closes the pool.
    report: called with the first failures of terms and graders of the user's own. judge: what rubrics are given to.
    by_turn: say what each turn earned, where the reward is a sum of terms.

    Raises ConfigError for a value or combination that is not accepted, and InputError for a file of the user's that
    cannot be run.
    """
    check_settings(settings)
    complete = _complete(settings)
    timeout_s, workers = complete["grader_timeout_s"], complete["grader_workers"]
    if complete["family"] == "released":
        return ReleasedReward(complete["name"], complete["matcher"], ReleasedJudge(timeout_s, workers, pool))
    formula = Formula(read_terms(complete["terms"]), complete["floors"])
    own_terms = OwnTerms(timeout_s, workers, judge)
    with ExitStack() as opened:
        terms = {}
        for name, term in formula.terms.items():
            if name != CORRECT:
                terms[name] = opened.enter_context(closing(build_term(term.term, own_terms)))
        own = None
        if complete["grader"] != ANSWER:
            own = opened.enter_context(OwnGrader(build_term(complete["grader"], own_terms, grader=True)))
        grader = opened.enter_context(Grader(timeout_s, workers, pool))
        opened.pop_all()
    return CompositeReward(
        complete["name"],
        terms,
        formula,
        grader,
        complete["max_ungraded"],
        workers,
        own_grader=own,
        report=report,
        groups_at_once=1 if judge is None else JUDGED_AT_ONCE,
        by_turn=by_turn,
    )


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check all settings without starting anything. Raises ConfigError naming the first key that is not accepted."""
    defaults = asdict(RewardConfig())
    complete = _complete(settings)
    _choice("family", complete["family"], ("project", "released"))
    released = complete["family"] == "released"
    if released or complete["matcher"] is not None:
        _choice("matcher", complete["matcher"], RELEASED if released else tuple(MATCHERS))
    _choice("anneal", complete["anneal"], ("none", "group", "run"))
    if complete["gate"] is not None:
        _choice("gate", complete["gate"], GATES)
    for key in SHORT_KEYS:
        value = value_at(complete, key)
        if key not in ("matcher", "gate") and value is not None:
            _number(key, value, 0.0, 1.0 if key == "wrong_scale" else math.inf)
    for key, value in complete["floors"].items():
        _number(f"floors.{key}", value, -math.inf, math.inf)
    read_terms(complete["terms"])
    if complete["grader"] != ANSWER:
        check_own(complete["grader"], "reward.grader", [ANSWER])
    _number("max_ungraded", complete["max_ungraded"], 0.0, 1.0)
    _require(complete["grader_timeout_s"] > 0, "grader_timeout_s", complete["grader_timeout_s"], "seconds above 0")
    _require(complete["grader_workers"] >= 1, "grader_workers", complete["grader_workers"], "1 or more")
    if released:
        _check_released(complete, defaults)


def _check_released(complete: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuse what would change the authors' own numbers."""
    plain = spelt_out(default_terms(), {})
    changed = [key for key in _PROJECT_ONLY if complete[key] != defaults[key]]
    changed += [key.partition(".")[0] for key in SHORT_KEYS if key != "matcher" and _differs(complete, key, plain)]
    changed += ["terms"] if complete["terms"] != plain else []
    for key in changed:
        _require(False, key, complete[key], "only the default: a released reward keeps the authors' own numbers")


def _differs(complete: Mapping[str, Any], key: str, plain: Mapping[str, Mapping[str, Any]]) -> bool:
    value = value_at(complete, key)
    return value is not None and any(value != plain[name][part] for name, part in SHORT_KEYS[key])


def _complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a reward, its terms with the values of the short keys. Raises ConfigError."""
    return asdict(build(RewardConfig, settings, "reward."))


def _choice(key: str, value: Any, accepted: tuple[str, ...]) -> None:
    _require(value in accepted, key, value, ", ".join(accepted))


def _number(key: str, value: Any, low: float, high: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    _require(is_number and math.isfinite(value) and low <= value <= high, key, value, f"a number in [{low}, {high}]")


def _require(accepted: bool, key: str, value: Any, what: str) -> None:
    if not accepted:
        raise ConfigError(f"reward.{key}={value!r} is not accepted, accepted: {what}")
