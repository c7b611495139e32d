"""What the names and the JSON of a report's records say."""

from mentor.reporting.read.records import Curve, Report, setting_name
from tests.fixtures.report_records import make_result


def test_a_setting_is_the_decoding_mode_and_whether_there_were_tools() -> None:
    assert [setting_name("greedy", tools) for tools in (True, None, False)] == [
        "greedy",
        "greedy",
        "greedy, without tools",
    ]
    assert make_result("m", mode="sampled", with_tools=False).setting == "sampled, without tools"


def test_a_base_is_its_own_base() -> None:
    assert make_result("base").is_base and not make_result("rl-x-s0").is_base


def test_results_json_has_its_schema_and_every_record() -> None:
    report = Report("t", "r", [], [make_result("m", tool_use={"bag_f1": 0.5})], [Curve("f", "m", [1], [None])])
    values = report.to_dict()
    assert (values["schema"], values["title"], values["run"]) == (4, "t", "r")
    assert values["results"][0]["tool_use"] == {"bag_f1": 0.5}
    assert values["curves"] == [{"folder": "f", "metric": "m", "steps": [1], "values": [None]}]
    assert values["caveats"] == values["missing"] == []
