"""Which orders of scores break a rule of the reward lint."""

from mentor.linting.rules import RULES, Rule, broken_rules


def test_strict_rules_need_a_lead_and_others_forbid_a_lag():
    strict, weak = Rule("a", "b", "why"), Rule("a", "b", "why", strict=False)
    assert [rule.broken({"a": 0.5, "b": 0.5}) for rule in (strict, weak)] == [True, False]
    assert [rule.broken({"a": 0.4, "b": 0.5}) for rule in (strict, weak)] == [True, True]
    assert [rule.broken({"a": 0.6, "b": 0.5}) for rule in (strict, weak)] == [False, False]
    assert [rule.broken({"a": 0.5 + 1e-12, "b": 0.5}) for rule in (strict, weak)] == [True, False]  # rounding


def test_rules_of_results_hold_for_rewards_that_compare_them():
    scores = {name: 0.0 for rule in RULES for name in (rule.better, rule.worse)}
    scores |= {"honest": 1.0, "no tool, right answer": 0.6, "right without tools, as the teacher": 1.0}
    scores |= {"the same tools with nonsense": 1.0}
    assert broken_rules(scores) == []
    assert [rule.why for rule in broken_rules(scores, compares_results=True)] == [
        "names without their results are paid"
    ]


def test_rules_of_tool_use_hold_for_rewards_that_pay_for_it():
    scores = {name: 0.0 for rule in RULES for name in (rule.better, rule.worse)}
    right = ("honest", "no tool, right answer", "repeats", "malformed calls before", "unknown tool before")
    scores |= dict.fromkeys((*right, "calls in thinking only", "right without tools, as the teacher"), 1.0)
    assert broken_rules(scores) == []  # an outcome reward: repeats are free, and so are tools
    scores["no tool, right answer"] = 0.6
    whys = {rule.why for rule in broken_rules(scores)}
    assert whys == {
        "repeating calls is free",
        "malformed calls are free",
        "calls of tools that do not exist are free",
        "calls that never ran are paid",
    }
