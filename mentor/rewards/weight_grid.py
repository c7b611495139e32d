"""A grid over the numbers of one of the project's presets: every combination of the given values is a point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from mentor.errors import ConfigError
from mentor.rewards.composite import Formula
from mentor.rewards.presets import PRESETS, check_settings, load_preset

GRID_KEYS = (
    "weights.correct",
    "weights.tool",
    "weights.valid",
    "wrong_scale",
    "gate",
    "matcher",
    "floors.unfinished",
    "floors.no_answer",
)
"""Keys of a reward that change its totals and not what is judged."""


@dataclass(frozen=True)
class WeightPoint:
    """One reward of the grid.

    values: of the keys that the grid changes. settings: all keys of the reward, for `build_reward`.
    """

    values: dict[str, Any]
    settings: dict[str, Any]

    @property
    def formula(self) -> Formula:
        of = self.settings
        return Formula(of["weights"], of["wrong_scale"], of["gate"], of["floors"])


def grid_points(preset: str, grid: Any) -> tuple[WeightPoint, list[WeightPoint]]:
    """Return the preset's own point and the points of the grid, the last key changing fastest.

    grid: a list of values by key. Raises ConfigError for a preset of the released family, and for a grid, key or value
    that is not accepted.
    """
    if not isinstance(grid, Mapping) or not grid:
        raise ConfigError(f"`stage.grid={grid}` is not accepted; accepted: {{key: [value, ...], ...}} of a reward")
    settings = load_preset(preset)
    if settings["family"] == "released":
        project = ", ".join(name for name in PRESETS if load_preset(name)["family"] == "project")
        raise ConfigError(f"`stage.grid_base={preset}` is a released reward, which has no weights; accepted: {project}")
    for key, values in grid.items():
        if key not in GRID_KEYS:
            raise ConfigError(f"`stage.grid` has the key {key!r}; accepted: {', '.join(GRID_KEYS)}")
        if not isinstance(values, (list, tuple)) or not values:
            raise ConfigError(f"`stage.grid` has {key}={values}; accepted: a list of one or more values")
    base = WeightPoint({key: _value(settings, key) for key in grid}, settings)
    points = [_weight_point(settings, dict(zip(grid, values, strict=True))) for values in product(*grid.values())]
    return base, points


def _weight_point(base: Mapping[str, Any], values: dict[str, Any]) -> WeightPoint:
    settings = {key: {**value} if isinstance(value, dict) else value for key, value in base.items()}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        (settings[section] if section else settings)[name] = value
    try:
        check_settings(settings)
    except ConfigError as error:
        raise ConfigError(f"`stage.grid`: {error}") from None
    return WeightPoint(values, settings)


def _value(settings: Mapping[str, Any], key: str) -> Any:
    section, _, name = key.rpartition(".")
    return (settings[section] if section else settings)[name]
