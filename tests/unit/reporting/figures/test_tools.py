"""Figures of tool use: accuracy over similarity, and calls by tool."""

from mentor.reporting.figures.tools import similarity_figures, tool_figures
from mentor.reporting.read.records import Report, ToolCounts
from tests.fixtures.report_records import make_method, make_result

COLORS = {"a": "#3f83c8", "c": "#d9772b"}


def test_similarity_says_how_many_results_have_none() -> None:
    results = [make_result("a", tool_similarity=0.5, domain="ood"), make_result("c"), make_result("c", None)]
    [figure] = similarity_figures(Report("t", "r", [], results, []), COLORS)
    assert figure.title == "Accuracy over similarity of tool use, greedy (2 of 3 have no similarity)"
    assert "out of domain" in figure.svg and figure.folders == ("",)


def test_students_of_different_teachers_are_drawn_apart() -> None:
    results = [
        make_result("a", tools=ToolCounts({"add": 3}, {"add": 2})),
        make_result("c", tools=ToolCounts({}, {"add": 1})),
    ]
    methods = [make_method("a", setting="greedy"), make_method("c", setting="greedy")]
    one, other = tool_figures(Report("t", "r", [], results, [], methods=methods), COLORS)
    assert (one.name, other.name) == ("tools-b-greedy", "tools-b-greedy-1")
    assert one.title == "b: share of calls by tool, greedy (a)" and one.folders == ("eval/a/b",)
