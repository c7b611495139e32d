"""Calls per tool, summed over splits and set beside the teacher's."""

from pathlib import Path

from mentor.reporting import collect
from mentor.reporting.read.calls_per_tool import MAX_TOOLS, CallsPerTool, calls_per_tool
from tests.fixtures.run_folder import make_row, write_eval


def counted(split: str, mode: str, student: dict[str, int], teacher: dict[str, int]) -> dict:
    return make_row(0.5, 0.4, 0.6, split=split, mode=mode, tools={"student": student, "teacher": teacher})


def test_splits_are_summed_and_models_grouped_by_what_they_are_compared_with(tmp_path: Path) -> None:
    one = [counted("test", "sampled", {"add": 2}, {"add": 3}), counted("long", "sampled", {"sqrt": 1}, {"add": 1})]
    write_eval(tmp_path, "a", *one)
    write_eval(tmp_path, "b", *reversed(one))
    write_eval(tmp_path, "c", one[0], counted("test", "greedy", {}, {"add": 3}))
    sampled, alone, greedy = calls_per_tool(collect(tmp_path, "t"))
    assert (sampled.teacher, list(sampled.students)) == ({"add": 4}, ["a", "b"])
    assert sampled.students["a"] == sampled.students["b"] == {"add": 2, "sqrt": 1}
    assert sampled.rows() == [("add", 4, [2, 2]), ("sqrt", 0, [1, 1])]
    assert (alone.teacher, list(alone.students), alone.label) == ({"add": 3}, ["c"], "sampled (c)")
    assert (greedy.label, greedy.main, alone.main) == ("greedy", False, True)
    assert greedy.rows() == [("add", 3, [0])]
    assert sampled.folders == ("eval/a/calculator", "eval/b/calculator")


def test_without_any_call_of_the_teacher_there_is_nothing_to_compare(tmp_path: Path) -> None:
    write_eval(tmp_path, "a", counted("test", "sampled", {"add": 2}, {}))
    assert calls_per_tool(collect(tmp_path, "t")) == []


def test_many_tools_end_in_one_row() -> None:
    teacher = {f"tool{n:02}": 100 - n for n in range(MAX_TOOLS + 2)}
    use = CallsPerTool("b", "sampled", teacher, {"m": {"tool21": 7, "tool20": 1}}, (), True, True)
    rows = use.rows()
    assert len(rows) == MAX_TOOLS + 1 and rows[0] == ("tool00", 100, [0])
    assert rows[-1] == ("2 other tools", (100 - 19) + (100 - 20), [1]), (
        "tool21 is called more often, with the student's"
    )
