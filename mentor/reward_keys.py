"""Short keys of a reward for its usual terms: `reward.weights.tool` is `reward.terms.match.weight`.

A reward is `terms`, a mapping by name. The short keys, which came first, set values of the terms `correct`, `match` and
`valid`. A stored reward that they can say in full is known by them, as it always was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mentor.errors import ConfigError

Terms = dict[str, dict[str, Any]]

SHORT_KEYS: dict[str, tuple[tuple[str, str], ...]] = {
    "weights.correct": (("correct", "weight"),),
    "weights.tool": (("match", "weight"),),
    "weights.valid": (("valid", "weight"),),
    "matcher": (("match", "term"),),
    "wrong_scale": (("match", "wrong_scale"),),
    "gate": (("match", "gate"), ("valid", "gate")),
}
"""By short key the places it sets: a term, and the key of it."""

JUDGE = "judge:"
"""What a term or grader begins with that is a rubric for a language model."""

DEFAULTS: dict[str, Any] = {"gate": "none", "wrong_scale": 1.0}
"""Values of the keys that a term may leave out."""


def default_terms() -> Terms:
    """Return the terms of a reward that says nothing else: the outcome counts, tool use is only looked at."""
    return {
        "correct": {"term": "correct", "weight": 1.0},
        "match": {"term": "bag_f1", "weight": 0.0, "wrong_scale": 0.2},
        "valid": {"term": "valid", "weight": 0.0},
    }


def spelt_out(terms: Mapping[str, Any], short: Mapping[str, Any]) -> Terms:
    """Return the terms with the values of all short keys that are given, every key written out; terms of null left out.

    short: a reward's settings, `weights` as a mapping. The `matcher` of a released reward is no term.

    Raises ConfigError for a term that is no mapping, and for a short key of a term that is not there.
    """
    found: Terms = {}
    for name, term in terms.items():
        if term is not None and not isinstance(term, Mapping):
            raise ConfigError(
                f"`reward.terms.{name}={term}` is no term; accepted: {{term: ..., weight: ..., gate: ..., "
                "wrong_scale: ...}, or null, which leaves it out"
            )
        if term is not None:
            found[str(name)] = {**DEFAULTS, **{str(key): _number(value) for key, value in term.items()}}
    for key, places in SHORT_KEYS.items():
        value = value_at(short, key)
        if value is None or (key == "matcher" and short.get("family") == "released"):
            continue
        for name, part in places:
            if name not in found:
                raise ConfigError(f"`reward.{key}={value}` is of the term {name}, which reward.terms does not have")
            found[name][part] = _number(value)
    return found


def in_short_keys(reward: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored reward as the short keys say it where they say all of it, else with its terms.

    Rewards that were stored before there were `terms` come back as they are.
    """
    terms = spelt_out(reward.get("terms", default_terms()), reward)
    others = {key: value for key, value in reward.items() if key not in ("terms", *_TOP)}
    short: dict[str, Any] = {"weights": dict(reward.get("weights", {}))}
    for key, ((name, part), *_) in SHORT_KEYS.items():
        section, _, last = key.rpartition(".")
        (short[section] if section else short)[last] = terms.get(name, {}).get(part)
    if reward.get("family") == "released":
        short["matcher"] = reward["matcher"]
    plain = spelt_out(default_terms(), {**short, "family": reward.get("family")})
    return {**others, **short} if plain == terms else {**others, "terms": terms}


def guidance_terms(terms: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the built-in terms that count beside `correct`: what a student is paid for its calls."""
    own = ":"  # in what names a function or a rubric
    return tuple(
        name
        for name, term in terms.items()
        if term.get("weight") and term.get("term") != "correct" and own not in str(term.get("term"))
    )


def asks_judge(reward: Any, benchmarks: Mapping[str, Any]) -> bool:
    """Return whether a term or a grader asks the judge. Sections of the configuration or their stored mappings."""
    sections = [reward, *benchmarks.values()]
    named = [_get(section, key) for section in sections if section is not None for key in ("grader", "terms")]
    sources = [entry for value in named for entry in (value.values() if isinstance(value, Mapping) else [value])]
    terms = [entry.get("term") if isinstance(entry, Mapping) else entry for entry in sources]
    return any(isinstance(term, str) and term.startswith(JUDGE) for term in terms)


def _get(section: Any, key: str) -> Any:
    return section.get(key) if isinstance(section, Mapping) else getattr(section, key, None)


def value_at(settings: Mapping[str, Any], key: str) -> Any:
    """Return the value of a dotted key, None where it is not there."""
    found: Any = settings
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


_TOP = frozenset(key.partition(".")[0] for key in SHORT_KEYS)


def _number(value: Any) -> Any:
    """Return a whole number as a float, so that 1 and 1.0 are one value; anything else as it is."""
    return float(value) if type(value) is int else value
