"""Settings in the order to show them, values in order of first appearance."""

from mentor.reporting.read.order import distinct, settings
from tests.fixtures.report_records import make_result


def test_settings_are_sampled_then_greedy_then_those_without_tools() -> None:
    ways = [("greedy", False), ("beam", True), ("greedy", True), ("sampled", False), ("sampled", None)]
    results = [make_result("m", mode=mode, with_tools=tools) for mode, tools in ways]
    assert settings(results) == ["sampled", "greedy", "sampled, without tools", "greedy, without tools", "beam"]
    assert settings([]) == []


def test_distinct_keeps_the_first_of_each() -> None:
    assert distinct(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]
