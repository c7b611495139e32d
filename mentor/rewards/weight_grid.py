"""A grid over the numbers of one of the project's rewards: every combination of the given values is a point."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from mentor.errors import ConfigError
from mentor.reward_keys import SHORT_KEYS
from mentor.rewards.composite import Formula
from mentor.rewards.presets import PRESETS, check_settings, load_preset
from mentor.rewards.reward_terms import read_terms

FLOORS = ("floors.unfinished", "floors.no_answer")
TERM_KEYS = ("term", "weight", "gate", "wrong_scale")


@dataclass(frozen=True)
class WeightPoint:
    """One reward of the grid.

    values: of the keys that the grid changes. settings: all keys of the reward, for `build_reward`.
    """

    values: dict[str, Any]
    settings: dict[str, Any]

    @cached_property
    def formula(self) -> Formula:
        return Formula(read_terms(self.settings["terms"]), self.settings["floors"])

    @cached_property
    def measures(self) -> tuple[tuple[str, str], ...]:
        """The name of each term with what it measures: points where they are the same differ in numbers alone."""
        return tuple((name, term.term) for name, term in self.formula.terms.items())


def grid_points(base: Mapping[str, Any], name: str, grid: Any) -> tuple[WeightPoint, list[WeightPoint]]:
    """Return the base's own point and the points of the grid, the last key changing fastest.

    base: settings of a reward, which errors call `name`. grid: a list of values by key: those of a term
    (`terms.<name>.weight`), the short keys and the floors.

    Raises ConfigError for a base of the released family, and for a grid, key or value that is not accepted.
    """
    if not isinstance(grid, Mapping) or not grid:
        raise ConfigError(f"`stage.grid={grid}` is not accepted; accepted: {{key: [value, ...], ...}} of a reward")
    if base["family"] == "released":
        project = ", ".join(preset for preset in PRESETS if load_preset(preset)["family"] == "project")
        raise ConfigError(f"`stage.grid_base={name}` is a released reward, which has no weights; accepted: {project}")
    accepted = [*SHORT_KEYS, *FLOORS, *(f"terms.{term}.{key}" for term in base["terms"] for key in TERM_KEYS)]
    for key, values in grid.items():
        if key not in accepted:
            raise ConfigError(f"`stage.grid` has the key {key!r}; accepted: {', '.join(accepted)}")
        if not isinstance(values, (list, tuple)) or not values:
            raise ConfigError(f"`stage.grid` has {key}={values}; accepted: a list of one or more values")
    settings = {**deepcopy(dict(base)), "name": name}
    own = WeightPoint({key: _at(settings, _places(key)[0]) for key in grid}, settings)
    points = [_point(settings, dict(zip(grid, values, strict=True))) for values in product(*grid.values())]
    return own, points


def _point(base: Mapping[str, Any], values: dict[str, Any]) -> WeightPoint:
    settings = deepcopy(dict(base))
    for key, value in values.items():
        for *sections, last in _places(key):
            _at(settings, sections)[last] = float(value) if type(value) is int else value
    try:
        check_settings(settings)
    except ConfigError as error:
        raise ConfigError(f"`stage.grid`: {error}") from None
    return WeightPoint(values, settings)


def _places(key: str) -> list[list[str]]:
    """Return where the value of a key of the grid stands in settings."""
    if key in SHORT_KEYS:
        return [["terms", name, part] for name, part in SHORT_KEYS[key]]
    return [key.split(".")]


def _at(settings: Any, place: list[str]) -> Any:
    for name in place:
        settings = settings[name]
    return settings
