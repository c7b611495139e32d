"""Tables of results: methods by benchmarks, every model, calls per tool."""

from mentor.reporting.read.records import Report, ToolCounts
from mentor.reporting.tables.results import accuracy_tables, detail_table, method_label, task_counts, tool_tables
from tests.fixtures.report_records import make_method, make_result


def texts(cells: list) -> list[str]:
    return [cell.text for cell in cells]


def test_methods_by_benchmarks_a_table_per_domain() -> None:
    seeds = {"models": ["rl-s0", "rl-s1"], "seeds": [0, 1], "by_seed": [0.7, 0.9], "against_base": "better"}
    methods = [make_method("base", base="base"), make_method("rl", 0.8, **seeds), make_method("rl", domain="ood")]
    report = Report("t", "r", [], [make_result("base", mode="sampled")], [], methods=methods)
    inside, outside = accuracy_tables(report)
    assert (inside.title, outside.title) == ("In domain: accuracy, sampled (%)", "Out of domain: accuracy, sampled (%)")
    assert [texts(row) for row in inside.rows] == [
        ["base (base)", "50.0 [40.0, 60.0]"],
        ["rl (2 seeds)", "80.0 [70.0, 90.0] ▲"],
    ]
    assert (inside.rows[1][1].note, inside.rows[1][1].conclusion) == ("70.0, 90.0", "better")


def test_labels() -> None:
    assert method_label([make_method("x")]) == "x"
    assert task_counts([make_method("x", n=50), make_method("x", n=1300)]) == "50 to 1,300"


def test_every_model_has_a_row_with_what_it_measured() -> None:
    row = make_result("m", pass_at={"1": 0.5}, scores={"em": 0.25}, ungraded=2, domain_of="gsm8k")
    other = make_result("n", stop_reasons={"answered": 3})
    table = detail_table(Report("t", "r", [], [row, other], []))
    assert table.columns[6:8] == ["pass@1 %", "em %"] and "pass@k" in table.caption
    assert texts(table.rows[0]) == [
        *("m", "b/test (ID for gsm8k)", "greedy", "100", "50.0", "[10.0, 90.0]"),
        *("50.0", "25.0", "–", "–", "–", "2", "–"),
    ]
    assert texts(table.rows[1])[-1] == "answered 3" and texts(table.rows[1])[6:8] == ["–", "–"]


def test_calls_per_tool() -> None:
    result = make_result("m", tools=ToolCounts({"add": 3}, {"add": 2, "sqrt": 1}))
    [table] = tool_tables(Report("t", "r", [], [result], []))
    assert table.columns == ["tool", "teacher", "m"]
    assert [texts(row) for row in table.rows] == [["add", "2", "3"], ["sqrt", "1", "0"], ["all", "3", "3"]]
