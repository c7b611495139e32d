"""Each method's tool use beside the teacher's, as means over its seeds."""

from mentor.reporting.read.records import Report
from mentor.reporting.tables.tool_use import tool_use_tables
from tests.fixtures.report_records import make_result, make_stage


def test_means_over_the_seeds_that_have_the_number() -> None:
    results = [
        make_result("base", tool_use={"bag_f1": 0.25, "tokens_per_correct": None}),
        make_result("rl-x-s0", tool_use={"bag_f1": 0.5, "tokens_per_correct": 20.0}),
        make_result("rl-x-s1", tool_use={"bag_f1": 0.75, "tokens_per_correct": None, "mine": 1.0}),
        make_result("rl-x-s0", split="long", domain="ood", tool_use={"bag_f1": 1.0}),
        make_result("rl-x-s1", split="none"),
    ]
    stages = [make_stage("rl-x-s0"), make_stage("rl-x-s1")]
    inside, outside = tool_use_tables(Report("t", "r", stages, results, []))
    assert inside.columns == ["method", "bag_f1", "tokens_per_correct", "mine"]
    assert [[cell.text for cell in row] for row in inside.rows] == [
        ["base", "0.250", "–", "–"],
        ["rl-x", "0.625", "20.0", "1.000"],
    ]
    assert "bag_f1: F1 over the calls by name" in inside.caption and "mine" not in inside.caption
    assert outside.title.startswith("b/long (OOD)") and inside.main and not outside.main
