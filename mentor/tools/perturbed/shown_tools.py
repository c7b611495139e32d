"""What a perturbed task is shown of its tools, and which tool and arguments a call in that form stands for.

toolset, `Perturbation` -> **shown tools** -> prompt. Each kind of change draws from a generator of its own, so that the
same key gives the same names with and without distractors. What runs is in `engine_view.py`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mentor.calls.schemas import Schema
from mentor.tools.perturbed.rewording import MEANINGS, SENTENCES, said_anew, with_names
from mentor.tools.worlds import WorldTool, draw_word, draw_world, spoken, written
from mentor.types import Perturbation

RENAMABLE = {"type", "properties", "required", "additionalProperties", "title", "description", "$defs"}
"""Keywords of a tool's parameters that refer to none of them by name, but for `required`, which is renamed along."""


@dataclass(frozen=True)
class ShownTools:
    """schemas: as shown. names: shown tool -> its own name. parameters: shown tool -> shown parameter -> its own name.

    distractors: made-up tools by their own names, which are no names of the toolset.
    """

    schemas: list[Schema]
    names: Mapping[str, str]
    parameters: Mapping[str, Mapping[str, str]]
    distractors: Mapping[str, WorldTool]

    def own_call(self, name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return a call as the tool itself takes it; one of a tool that is not shown as it is."""
        own = self.parameters.get(name, {})
        return self.names.get(name, name), {own.get(key, key): value for key, value in arguments.items()}

    def hidden(self, name: str, arguments: Mapping[str, Any]) -> str | None:
        """Return the first argument that goes by its own name, where the parameter is shown by another."""
        own = self.parameters.get(name, {})
        return next((key for key in arguments if key not in own and key in own.values()), None)


def draw_shown(schemas: Sequence[Schema], perturbation: Perturbation) -> ShownTools:
    """Draw how tools are shown, the same for the same schemas and perturbation."""
    offered = [schema for schema in schemas if schema["function"]["name"] != perturbation.missing]
    own = [_name(schema) for schema in schemas]
    distractors = _distractors(own, perturbation)
    placing = _generator(perturbation, "place")
    for tool in distractors.values():
        offered.insert(placing.randint(0, len(offered)), tool.schema)
    if perturbation.reorder:
        _generator(perturbation, "order").shuffle(offered)
    if perturbation.describe:
        offered = [_described(schema, _generator(perturbation, f"describe/{_name(schema)}")) for schema in offered]
    names, parameters = {_name(schema): _name(schema) for schema in offered}, {}
    if perturbation.rename != "none":
        suffix, rng = perturbation.rename == "suffix", _generator(perturbation, "names")
        everyone = [*own, *distractors]
        new = new_names(everyone, everyone, suffix, rng)
        renamed = [
            _renamed(schema, new, suffix, _generator(perturbation, f"rename/{_name(schema)}")) for schema in offered
        ]
        offered = [schema for schema, _ in renamed]
        names = {new[name]: name for name in names}
        parameters = {_name(schema): own_names for schema, own_names in renamed}
    return ShownTools(offered, names, parameters, distractors)


def _generator(perturbation: Perturbation, what: str) -> random.Random:
    return random.Random(f"perturbed/{perturbation.key}/{what}")


def _name(schema: Schema) -> str:
    return str(schema["function"]["name"])


def _distractors(taken: Collection[str], perturbation: Perturbation) -> dict[str, WorldTool]:
    """Draw made-up tools, each of another world. Their names are identifiers, which every call syntax writes."""
    rng, found, world = _generator(perturbation, "distractors"), dict[str, WorldTool](), 0
    while len(found) < perturbation.distractors:
        tool = rng.choice(draw_world(f"{perturbation.key}/distractor/{world}"))
        world += 1
        if tool.name.isidentifier() and tool.name not in taken:
            found[tool.name] = tool
    return found


def new_names(names: Sequence[str], taken: Collection[str], suffix: bool, rng: random.Random) -> dict[str, str]:
    """Draw a new name for each, by the old one; none is taken or comes twice.

    suffix: the old name with a word behind it; else two words alone, all written in one style.
    """
    style, new = rng.choice(("snake", "camel")), dict[str, str]()
    for name in names:
        shown = name
        while shown == name or shown in taken or shown in new.values():
            shown = f"{name}_{draw_word(rng)}" if suffix else written([draw_word(rng), draw_word(rng)], style)
        new[name] = shown
    return new


def _described(schema: Schema, rng: random.Random) -> Schema:
    """Say the descriptions of a tool and of its parameters anew."""
    function = schema["function"]
    properties = {
        name: {**below, "description": said_anew(below["description"], MEANINGS, rng)}
        if isinstance(below, Mapping) and isinstance(below.get("description"), str)
        else below
        for name, below in function["parameters"].get("properties", {}).items()
    }
    description = said_anew(function["description"], SENTENCES, rng)
    parameters = {**function["parameters"], "properties": properties}
    return {**schema, "function": {**function, "description": description, "parameters": parameters}}


def _renamed(schema: Schema, new: Mapping[str, str], suffix: bool, rng: random.Random) -> tuple[Schema, dict[str, str]]:
    """Give a tool and its parameters their new names; also return each new parameter's own name.

    What has no description gets its old name as one, in words, so that nothing is lost with the name.
    """
    function = schema["function"]
    shown = _new_parameters(function["parameters"], suffix, rng)
    parameters = function["parameters"]
    if shown:
        kept = {key: value for key, value in parameters.items() if key != "title"}
        properties = {
            shown[name]: _renamed_parameter(name, below, shown) for name, below in parameters["properties"].items()
        }
        required = {"required": [shown.get(name, name) for name in kept["required"]]} if "required" in kept else {}
        parameters = {**kept, "properties": properties, **required}
    name = new[function["name"]]
    text = with_names(function["description"], shown) or spoken(function["name"])
    made = {**function, "name": name, "description": text, "parameters": parameters}
    return {**schema, "function": made}, {new_name: own for own, new_name in shown.items()}


def _new_parameters(parameters: Schema, suffix: bool, rng: random.Random) -> dict[str, str]:
    """Draw a name for every parameter; none where the schema refers to parameters in ways that would break."""
    properties = parameters.get("properties", {})
    if not set(parameters) <= RENAMABLE or "#/properties" in json.dumps(parameters):
        return {}
    return new_names(list(properties), properties.keys(), suffix, rng)


def _renamed_parameter(name: str, schema: Any, shown: Mapping[str, str]) -> Any:
    """Return a parameter's schema without its name: the title goes, and a description is there."""
    if schema is False:
        return schema
    kept = {} if schema is True else {key: value for key, value in schema.items() if key != "title"}
    title = schema.get("title") if isinstance(schema, Mapping) else None
    text = kept.get("description") or title or spoken(name)
    return {**kept, "description": with_names(text, shown)}
