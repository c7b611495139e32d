import pytest

from mentor.rewards.tool_match import MATCHERS, can_compare
from mentor.types import CallError, CallRecord, NamedCall, Task, ToolCall
from tests.unit.rewards.builders import call


def calls(*names: str) -> list[ToolCall]:
    return [ToolCall(name, {}) for name in names]


def attempts(*names: str) -> list[CallRecord]:
    """A call by name each; one that failed has a `!` before it."""
    return [call(name.strip("!"), CallError.EXCEPTION if name.startswith("!") else None) for name in names]


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        # add shared once of (2, 1), divide once: shared 2 of 3 and 2
        (
            "add add divide",
            "divide add",
            {"bag_f1": 4 / 5, "coverage": 5 / 6, "set": 1, "overlap": 1, "f1": 1, "sequence": 0, "lcs": 2 / 5},
        ),
        (
            "divide add",
            "divide add",
            {"bag_f1": 1, "coverage": 1, "set": 1, "overlap": 1, "f1": 1, "sequence": 1, "lcs": 1},
        ),
        ("add divide", "divide add", {"bag_f1": 1, "set": 1, "overlap": 1, "f1": 1, "sequence": 0, "lcs": 1 / 2}),
        # sets {add, sqrt} and {add, divide, power}: one shared of 2 and 3
        (
            "add sqrt",
            "add divide power",
            {"bag_f1": 2 / 5, "coverage": 1 / 3, "set": 0, "overlap": 1, "f1": 2 / 5, "sequence": 0, "lcs": 2 / 5},
        ),
        ("sqrt", "add", dict.fromkeys(("bag_f1", "set", "overlap", "f1", "sequence", "lcs"), 0)),
        # a, b, c within a, x, b, y, c: 2 * 3 / (5 + 3)
        ("a x b y c", "a b c", {"lcs": 6 / 8, "bag_f1": 6 / 8, "f1": 6 / 8}),
        # one of two adds is missing, whatever else was called; then both, in four calls: (1 + 2 / 4) / 2
        ("add sqrt floor", "add add", {"coverage": 1 / 2, "bag_f1": 2 / 5}),
        ("add sqrt floor add", "add add", {"coverage": 3 / 4, "bag_f1": 4 / 6}),
        ("add " * 50, "add", {"bag_f1": 2 / 51, "coverage": 1 / 50, "f1": 1, "lcs": 2 / 51}),
        # failed attempts never match and cost precision: 2 * 2 / (3 + 2); as sets {divide, add} is attempted
        (
            "divide !add add",
            "divide add",
            {"bag_f1": 4 / 5, "coverage": 5 / 6, "set": 1, "f1": 1, "sequence": 1, "lcs": 4 / 5},
        ),
        # shared divide alone: 2 * 1 / (3 + 2), as sets 2 * 1 / (3 + 2)
        ("divide !add !solve", "divide add", {"bag_f1": 2 / 5, "set": 0, "f1": 2 / 5, "sequence": 0, "lcs": 2 / 5}),
        ("!divide !add", "divide add", dict.fromkeys(("bag_f1", "set", "overlap", "f1", "sequence", "lcs"), 0)),
    ],
)
def test_matchers_by_hand(student: str, teacher: str, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert MATCHERS[name](attempts(*student.split()), calls(*teacher.split())) == pytest.approx(value), name


@pytest.mark.parametrize("name", MATCHERS)
def test_a_teacher_without_tools_is_matched_by_using_none(name: str) -> None:
    assert MATCHERS[name]([], []) == 1.0
    assert MATCHERS[name](attempts("add"), []) == 0.0
    assert MATCHERS[name]([], calls("add")) == 0.0


def test_sequence_args_compares_numbers_by_value() -> None:
    def match(ours: dict, theirs: dict) -> float:
        return MATCHERS["sequence_args"]([call("add", **ours)], [ToolCall("add", theirs)])

    assert match({"a": 2, "b": [1, 2.0]}, {"b": [1.0, 2], "a": 2.0}) == 1.0
    assert match({"a": 2}, {"a": 3}) == 0.0
    assert match({"a": True}, {"a": 1}) == 0.0
    assert match({"a": "2"}, {"a": 2}) == 0.0
    assert match({"a": 2, "b": 1}, {"a": 2}) == 0.0


def test_a_call_known_by_name_only_accepts_any_arguments() -> None:
    student = [call("add", a=2), call("add", CallError.TIMEOUT), call("sqrt", x=4)]
    assert MATCHERS["sequence_args"](student, [NamedCall("add"), NamedCall("sqrt")]) == 1.0
    assert MATCHERS["sequence_args"](student, [NamedCall("sqrt"), NamedCall("add")]) == 0.0
    assert MATCHERS["sequence_args"](student, [ToolCall("add", {}), NamedCall("sqrt")]) == 0.0


def test_results_are_compared_only_where_all_of_the_teachers_are_known() -> None:
    def known(*reference: ToolCall) -> list[bool]:
        task = Task("t", "q", ("1",), "", reference=reference)
        return [can_compare(task, MATCHERS[name]) for name in ("bag_f1", "results")]

    assert known(ToolCall("add", {}, "1"), NamedCall("sqrt", result="")) == [True, True]
    assert known(ToolCall("add", {}, "1"), ToolCall("sqrt", {})) == [True, False]
    assert known() == [True, True]
    assert not can_compare(Task("t", "q", ("1",), ""), MATCHERS["bag_f1"])
