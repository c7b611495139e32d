"""BFCL verdicts: the official checker's on 5,223 outputs, and every rule of it that surprises on rows made for it."""

import gzip
import json

import pytest

from mentor.errors import InputError
from mentor.evaluation.bfcl_judge import CallsVerdict, judge

CATEGORIES = ("simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance")
VALID = None


def _rows(path):
    return {row["id"]: row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}


def test_every_verdict_is_that_of_the_official_checker(shared):
    questions, answers = {}, {}
    for category in CATEGORIES:
        questions |= _rows(shared / "data" / "bfcl" / f"BFCL_v4_{category}.jsonl")
        if category != "irrelevance":
            answers |= _rows(shared / "data" / "bfcl" / "possible_answer" / f"BFCL_v4_{category}.jsonl")
    with gzip.open(shared / "golden" / "bfcl_verdicts.jsonl.gz", "rt", encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    differing = []
    for case in cases:
        verdict = judge(questions[case["id"]], answers.get(case["id"]), case["calls"])
        if (verdict.valid, verdict.error_type) != (case["valid"], case["error_type"]):
            differing.append((case["id"], case["mutation"], verdict))
    assert (len(cases), differing) == (5223, [])


# --- one argument ----------------------------------------------------------------------------------------------------


def verdict_on(schema, accepted, *value, required=True):
    """The code for f(x=value), or for f() without a value."""
    parameters = {"type": "dict", "properties": {"x": schema}, "required": ["x"] if required else []}
    question = {"id": "simple_python_1", "function": [{"name": "f", "parameters": parameters}]}
    answer = {"id": "simple_python_1", "ground_truth": [{"f": {"x": accepted}}]}
    verdict = judge(question, answer, [{"name": "f", "arguments": {"x": value[0]} if value else {}}])
    assert verdict.valid == (verdict.error_type is None) == (verdict.why == "")
    return verdict.error_type


STRING, INTEGER, FLOAT, BOOLEAN, ANY, DICT = (
    {"type": kind} for kind in ("string", "integer", "float", "boolean", "any", "dict")
)


def array(kind, name="array"):
    return {"type": name, "items": {"type": kind}}


@pytest.mark.parametrize(
    ("accepted", "value", "code"),
    [
        ("3.5", "35", VALID),
        ("5", "-5", VALID),
        ("1/2", "12", VALID),
        ("x**2", "X2", VALID),
        ("a_b^c, d", "abcd", VALID),
        ("it's", 'it"s', VALID),
        ("É", "é", VALID),
        ("straße", "STRASSE", "value_error:string"),  # no case folding
        ("é", "e\u0301", "value_error:string"),  # no normalisation
        ("a b", "a\tb", "value_error:string"),
        ("a b", "a\u00a0b", "value_error:string"),
        ("ab", "ab\n", "value_error:string"),
        ("ab", "ab!", "value_error:string"),
        ("ab", "(ab)", "value_error:string"),
        ("5", 5, "type_error:simple"),
        ("a", ["a"], "type_error:simple"),
        ("a", None, "type_error:simple"),
    ],
)
def test_strings(accepted, value, code):
    assert verdict_on(STRING, [accepted], value) == code


def test_the_mark_of_what_may_be_left_out_is_also_a_value():
    assert verdict_on(STRING, ["a", ""], required=False) is VALID
    assert verdict_on(STRING, ["a", ""], "", required=False) is VALID
    assert verdict_on(STRING, ["a", ""], " .-", required=False) is VALID
    assert verdict_on(STRING, ["a"], "", required=False) == "value_error:string"
    for schema, value in ((INTEGER, 1), (FLOAT, 1.0), (BOOLEAN, True), (DICT, {})):
        assert verdict_on(schema, [value, ""], "", required=False) == "type_error:simple"


@pytest.mark.parametrize(
    ("schema", "accepted", "value", "code"),
    [
        (INTEGER, [5.0], 5, VALID),
        (INTEGER, [5.0], 5.0, VALID),
        (INTEGER, [5, 5.0], 5.0, "type_error:simple"),  # the first accepted value decides
        (INTEGER, ["", 5.0], 5.0, VALID),
        (INTEGER, [5], "5", "type_error:simple"),
        (INTEGER, [1], True, "type_error:simple"),
        (INTEGER, [5], 6, "value_error:others"),
        (FLOAT, [5.0], 5, VALID),
        (FLOAT, [0.1], 0.1 + 1e-12, "value_error:others"),
        (FLOAT, [1.0], True, "type_error:simple"),
        (FLOAT, [1.0], 10**400, "undecided"),
        (BOOLEAN, [True], 1, "type_error:simple"),
        (BOOLEAN, [True], False, "value_error:others"),
        (STRING, [None], None, VALID),
        (INTEGER, [None], 5, "value_error:others"),
        (array("integer"), ["Name"], "Name", VALID),
        (array("integer"), ["Name"], "name", "value_error:others"),  # another type than declared: no string rules
        (ANY, ["A b"], "ab", VALID),
        (ANY, [5], 5, VALID),
        (ANY, [5], "5", "value_error:others"),
        (ANY, ["5"], 5, "type_error:simple"),
    ],
)
def test_types(schema, accepted, value, code):
    assert verdict_on(schema, accepted, value) == code


@pytest.mark.parametrize(
    ("schema", "accepted", "value", "code"),
    [
        (array("float"), [[1.0]], [1], "type_error:nested"),
        (array("float"), [[1.5, 2]], [1.5, 2], "type_error:nested"),
        (array("float"), [[1.5, 2]], [1.5, 2.0], VALID),
        (array("float"), [[1, 2.5]], [1, 2.5], VALID),
        (array("float", "tuple"), [[1.0]], [1.0], VALID),
        (array("integer"), [[1], ""], [1.0], VALID),
        (array("integer"), [[1], ""], [True], VALID),
        (array("integer"), [[1]], [True], "type_error:nested"),
        (array("integer"), [[1], ""], [], VALID),
        (array("integer"), [[1]], [], "value_error:list/tuple"),
        (array("integer"), [[1, 2]], [2, 1], "value_error:list/tuple"),
        (array("integer"), [[1]], [None], "type_error:nested"),
        (array("integer"), [[1]], 1, "type_error:simple"),
        (array("string"), [["New York", "b"]], ["newyork", "B."], VALID),
        (array("string"), [["ab"]], ["a", "b"], "value_error:list/tuple"),
        (array("array"), [[["New York"]]], [["New York"]], VALID),
        (array("array"), [[["New York"]]], [["new york"]], "value_error:list/tuple"),
        (array("array"), [[[1, 2]]], [[1.0, True + 1]], VALID),  # innermost lists compare by plain equality
        (array("integer"), [[1], 5], [2], "undecided"),  # a number among accepted lists
        ({"type": "array"}, [[1]], [1], "undecided"),  # a schema without its items
        ({"type": "number"}, [1], 1, "undecided"),
    ],
)
def test_lists(schema, accepted, value, code):
    assert verdict_on(schema, accepted, value) == code


ACCEPTED = [{"city": ["New York"], "days": [3, 4], "unit": ["C", ""]}]


@pytest.mark.parametrize(
    ("accepted", "value", "code"),
    [
        (ACCEPTED, {"days": 3, "city": "newyork"}, VALID),
        (ACCEPTED, {"city": "New York", "days": 4.0, "unit": ""}, VALID),
        (ACCEPTED, {"city": "New York", "days": 5}, "value_error:dict_value"),
        (ACCEPTED, {"city": "New York"}, "value_error:dict_key"),
        (ACCEPTED, {"City": "New York", "days": 3}, "value_error:dict_key"),
        (ACCEPTED, {"city": "Paris"}, "value_error:dict_key"),  # the missing key is said, not the wrong value
        (ACCEPTED, [], "type_error:simple"),
        ([{"on": [1]}], {"on": True}, VALID),
        ([{"on": [["A"]]}], {"on": ["a"]}, "value_error:dict_value"),  # no string rules in a list in an object
        ([{"at": [{"x": [1]}]}], {"at": {"x": [1]}}, VALID),  # an object inside must equal the answer's text
        ([{"at": [{"x": [1]}]}], {"at": {"x": 1}}, "value_error:dict_value"),
        ([{"at": [1]}, {"at": [2]}], {"at": 2}, VALID),
        ([{"at": [1]}, {"to": [2]}], {"at": 3}, "value_error:dict_key"),  # said of the last accepted object
        ([""], {}, "dict_checker:unclear"),
        ([{"at": [1]}, ""], {}, "value_error:dict_key"),
        ([{"at": 1}], {"at": 1}, "undecided"),  # accepted values that are no list
    ],
)
def test_objects(accepted, value, code):
    assert verdict_on(DICT, accepted, value, required=False) == code


@pytest.mark.parametrize(
    ("accepted", "value", "code"),
    [
        ([[{"a": ["X"]}, {"a": [2]}]], [{"a": "x"}, {"a": 2}], VALID),
        ([[{"a": ["X"]}, {"a": [2]}]], [{"a": 2}, {"a": "x"}], "value_error:dict_value"),
        ([[{"a": [1]}]], [], "value_error:list_dict_count"),
        ([[{"a": [1]}], [{"a": [2]}]], [{"a": 2}], VALID),
        ([[{"a": [1]}]], [{"a": 1, "b": 2}], "value_error:dict_key"),
        ([[{"a": [1]}]], [1], "type_error:nested"),
        ([[{"a": [1]}], ""], [], VALID),
        ([[{"a": [1]}], ""], [1], "undecided"),  # items are not type-checked, and the official checker raises
        ([""], [1], "value_error:list_dict_count"),
    ],
)
def test_lists_of_objects(accepted, value, code):
    assert verdict_on(array("dict"), accepted, value) == code


# --- whole calls -----------------------------------------------------------------------------------------------------


def function(name, *required, **properties):
    return {"name": name, "parameters": {"type": "dict", "properties": properties, "required": list(required)}}


def code(category, functions, truth, *calls):
    """Calls are `(name, arguments)`."""
    row_id = f"{category}_7"
    answer = {"id": row_id, "ground_truth": truth}
    output = [{"name": name, "arguments": arguments} for name, arguments in calls]
    return judge({"id": row_id, "function": functions}, answer, output).error_type


def test_names_required_and_unexpected_arguments():
    functions = [function("math.f", "a", a=INTEGER, b=INTEGER, c=INTEGER)]
    truth = [{"math.f": {"a": [1, ""], "b": [2], "d": ["", 4]}}]

    def given(name, **arguments):
        return code("simple_python", functions, truth, (name, arguments))

    assert given("math.f", a=1, b=2) is VALID
    assert given("math_f", a=1, b=2) == "simple_function_checker:wrong_func_name"
    assert given("Math.f", a=1, b=2) == "simple_function_checker:wrong_func_name"
    assert given("math.f", b=2) == "simple_function_checker:missing_required"  # although the answer allows it
    assert given("math.f", a=1) == "simple_function_checker:missing_optional"
    assert given("math.f", a=1, b=2, c=3) == "simple_function_checker:unexpected_param"  # in the schema alone
    assert given("math.f", a=1, b=2, d=4) == "simple_function_checker:unexpected_param"  # in the answer alone


def test_the_number_of_calls_is_exact():
    functions, truth = [function("f", a=INTEGER), function("g", a=INTEGER)], [{"g": {"a": [1]}}]
    right = ("g", {"a": 1})
    assert code("multiple", functions, truth, right) is VALID
    assert code("multiple", functions, truth, right, right) == "multiple_function_checker:wrong_count"
    assert code("multiple", functions, truth) == "multiple_function_checker:wrong_count"
    assert code("multiple", functions, truth, ("f", {"a": 1})) == "simple_function_checker:wrong_func_name"
    assert code("simple_python", functions, truth) == "simple_function_checker:wrong_count"
    no_order = "parallel_function_checker_no_order:wrong_count"
    assert code("parallel", functions, truth, right, right) == no_order
    assert code("parallel_multiple", functions, truth * 2, right) == no_order


def test_parallel_calls_are_matched_greedily_in_the_order_of_the_answers():
    functions = [function("f", a=INTEGER)]
    either_then_one = [{"f": {"a": [1, 2]}}, {"f": {"a": [1]}}]
    one_then_either = either_then_one[::-1]
    first, second = ("f", {"a": 1}), ("f", {"a": 2})
    assert code("parallel", functions, either_then_one, second, first) is VALID
    assert code("parallel", functions, one_then_either, second, first) is VALID
    # The call that fits both answers is used up by the first.
    no_match = "parallel_function_checker_no_order:cannot_find_match"
    assert code("parallel", functions, either_then_one, first, second) == no_match
    assert code("parallel", functions, one_then_either, first, second) is VALID
    assert code("parallel", functions, one_then_either, second, second) == no_match


def test_a_call_the_official_checker_cannot_compare_matters_only_where_it_is_looked_at():
    functions = [function("f", a=FLOAT), function("g", a=FLOAT)]
    truth = [{"f": {"a": [1.0]}}, {"g": {"a": [1.0]}}]
    huge = ("f", {"a": 10**400})
    assert code("parallel_multiple", functions, truth, ("g", {"a": 1.0}), huge) == "undecided"
    wrong = ("f", {"b": 1, "a": 10**400})  # ends before the large value is reached
    no_match = "parallel_function_checker_no_order:cannot_find_match"
    assert code("parallel_multiple", functions, truth, ("g", {"a": 1.0}), wrong) == no_match


@pytest.mark.parametrize(
    ("calls", "valid"),
    [
        ([], True),
        (None, True),
        ("f(1)", True),
        ([{"name": "f", "arguments": "{}"}], True),
        ([{"name": "f", "arguments": None}], True),
        ([{"name": "f", "arguments": []}], True),
        ([{"name": "f"}], True),
        ([{"name": "f", "arguments": {}}, {"name": "f", "arguments": "x"}], True),  # one malformed call is enough
        ([{"name": "f", "arguments": {}}], False),
        ([{"name": "unknown", "arguments": {"a": 1}}], False),
        ([{"name": "", "arguments": {}}], False),
    ],
)
def test_irrelevance_is_right_without_a_well_formed_call(calls, valid):
    verdict = judge({"id": "irrelevance_1", "function": [function("f")]}, None, calls)
    assert (verdict.valid, verdict.error_type) == (valid, None if valid else "irrelevance_error:decoder_success")


# --- whatever a model may write --------------------------------------------------------------------------------------

DEEP = {}
for _ in range(100_000):
    DEEP = {"x": [DEEP]}
ODD = [None, True, -1, 10**5000, float("nan"), float("inf"), "", "\ud800", "f", [], [[]], {}, {"name": "f"}, DEEP]


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_output_makes_it_raise(category):
    schemas = {"s": STRING, "i": INTEGER, "n": FLOAT, "b": BOOLEAN, "o": DICT, "l": array("string"), "d": array("dict")}
    accepted = {
        "s": ["a", ""],
        "i": [1, ""],
        "n": [1.0, ""],
        "b": [True, ""],
        "o": [{"x": [{"x": [1]}]}, ""],
        "l": [["a"], ""],
        "d": [[{"x": [[]]}], ""],
    }
    question = {"id": f"{category}_1", "function": [function("f", **schemas)]}
    answer = None if category == "irrelevance" else {"id": question["id"], "ground_truth": [{"f": accepted}]}
    outputs = [*ODD, [ODD]]
    for odd in ODD:
        outputs += [[odd], [{"name": odd, "arguments": {}}], [{"name": "f", "arguments": odd}]]
        for name in schemas:
            for value in (odd, [odd], {"x": odd}, [{"x": odd}]):
                outputs.append([{"name": "f", "arguments": {name: value}}])
    for output in outputs:
        verdict = judge(question, answer, output)
        assert len(verdict.why) < 2000
        assert isinstance(verdict, CallsVerdict) and verdict.valid == (verdict.error_type is None)


def test_calls_are_left_as_they_are():
    calls = [{"name": "f", "arguments": {"x": ["A b", {"y": "C d"}]}}]
    before = json.dumps(calls)
    question = {"id": "simple_python_1", "function": [function("f", x=array("string"))]}
    judge(question, {"id": "simple_python_1", "ground_truth": [{"f": {"x": [["ab"], ""]}}]}, calls)
    assert json.dumps(calls) == before


def test_rows_that_do_not_belong_together_are_refused():
    question = {"id": "simple_python_1", "function": [function("f")]}
    with pytest.raises(InputError, match="row simple_python_1: its answer row is 'simple_python_3'"):
        judge(question, {"id": "simple_python_3", "ground_truth": [{"f": {}}]}, [])
    with pytest.raises(InputError, match="row simple_python_1: its answer row is none"):
        judge(question, None, [])
    for other in ("multi_turn_base_1", "simple_java_1"):
        with pytest.raises(InputError, match=f"row {other}: not judged by its calls, accepted: simple_python"):
            judge({"id": other}, None, [])


@pytest.mark.parametrize(
    ("calls", "code"),
    [
        ([{"name": "g", "arguments": {}}], VALID),
        ([], "relevance_error:decoder_failed"),
        ("no", "relevance_error:decoder_failed"),
    ],
)
def test_where_a_function_fits_any_call_is_right(calls, code):
    assert judge({"id": "live_relevance_3-3-0", "function": []}, None, calls).error_type == code
