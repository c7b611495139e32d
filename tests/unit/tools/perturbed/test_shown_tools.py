"""What a perturbed task is shown of its tools: drawn by its key, and mapped back."""

import json

import pytest

from mentor.calls.schemas import check_schema
from mentor.tools import Toolset
from mentor.tools.perturbed.shown_tools import draw_shown
from mentor.types import Perturbation

CALCULATOR = Toolset.builtin("calculator").schemas
PLAIN = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "",
        "parameters": {
            "type": "object",
            "title": "get_weatherArguments",
            "properties": {
                "city": {"type": "string", "title": "City Name"},
                "days": {"type": "integer", "description": "Days from today"},
                "unitSystem": {"enum": ["c", "f"]},
                "any": True,
            },
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def names(schemas: list[dict]) -> list[str]:
    return [schema["function"]["name"] for schema in schemas]


@pytest.mark.parametrize("rename", ["suffix", "made_up"])
def test_renamed_tools_are_valid_and_a_call_of_them_is_mapped_back(rename):
    shown = draw_shown(CALCULATOR, Perturbation("0/t", rename=rename))
    assert list(shown.names.values()) == names(CALCULATOR), "in their order"
    assert not set(shown.names) & set(names(CALCULATOR)) and len(shown.names) == 12
    for schema, own in zip(shown.schemas, CALCULATOR, strict=True):
        assert check_schema(schema, "shown") == schema
        function = schema["function"]
        assert function["name"].isidentifier()
        assert function["name"].startswith(own["function"]["name"]) == (rename == "suffix")
        parameters = function["parameters"]["properties"]
        arguments = dict.fromkeys(parameters, 1)
        back = {name: 1 for name in own["function"]["parameters"]["properties"]}
        assert shown.own_call(function["name"], arguments) == (own["function"]["name"], back)
        assert not set(parameters) & set(back)
        assert function["parameters"]["required"] == [
            new for new, name in shown.parameters[function["name"]].items()
            if name in own["function"]["parameters"]["required"]
        ]  # fmt: skip
    add = shown.schemas[0]["function"]
    assert shown.hidden(add["name"], {"a": 1}) == "a"
    assert shown.hidden(add["name"], dict.fromkeys(add["parameters"]["properties"], 1)) is None
    assert shown.own_call("nothing", {"a": 1}) == ("nothing", {"a": 1})


def test_the_key_decides_and_each_change_draws_by_itself():
    def drawn(**settings):
        return draw_shown(CALCULATOR, Perturbation(**{"key": "0/t", "rename": "made_up", **settings}))

    assert drawn() == drawn() and drawn().names != drawn(key="1/t").names
    more = drawn(distractors=3, reorder=True, describe=True, missing="floor")
    assert drawn().names.items() - more.names.items() == {(new, "floor") for new in drawn().names.keys() - more.names}
    ordered = draw_shown(CALCULATOR, Perturbation("0/t", reorder=True))
    assert names(ordered.schemas) != names(CALCULATOR) and sorted(names(ordered.schemas)) == sorted(names(CALCULATOR))
    assert drawn(reorder=True, rename="none").schemas == ordered.schemas


def test_a_name_that_goes_leaves_its_words_behind_and_a_title_goes():
    shown = draw_shown([PLAIN], Perturbation("0/t", rename="made_up"))
    function = shown.schemas[0]["function"]
    assert function["description"] == "get weather"
    described = {
        own: function["parameters"]["properties"][new]["description"]
        for new, own in shown.parameters[function["name"]].items()
    }
    assert described == {"city": "City Name", "days": "Days from today", "unitSystem": "unit system", "any": "any"}
    text = json.dumps(function)
    assert "title" not in text and "get_weather" not in text and '"city"' not in text


def test_parameters_that_a_schema_refers_to_keep_their_names():
    parameters = {**PLAIN["function"]["parameters"], "dependentRequired": {"days": ["city"]}}
    schema = {**PLAIN, "function": {**PLAIN["function"], "parameters": parameters}}
    function = draw_shown([schema], Perturbation("0/t", rename="made_up")).schemas[0]["function"]
    assert function["parameters"] == parameters and function["name"] != "get_weather"


def test_descriptions_are_said_anew_and_names_stay():
    shown = draw_shown(CALCULATOR, Perturbation("0/t", describe=True))
    assert names(shown.schemas) == names(CALCULATOR)
    assert shown.schemas[1]["function"]["description"] == "What is left of a once b is taken away."
    assert draw_shown([PLAIN], Perturbation("0/t", describe=True)).schemas[0]["function"]["description"] == ""


def test_distractors_join_and_a_missing_tool_goes():
    shown = draw_shown(CALCULATOR, Perturbation("0/t", distractors=5, missing="power"))
    assert len(shown.schemas) == 16 and len(shown.distractors) == 5
    own = [name for name in names(shown.schemas) if name not in shown.distractors]
    assert own == [name for name in names(CALCULATOR) if name != "power"], "the others keep their order"
