"""Which case must score above which: a reward that breaks a rule reinforces the exploit that the rule names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Rule:
    """`better` scores more than `worse` (`strict`), or at least as much.

    tool_aware: the rule holds only for rewards that score the honest case above the right answer without tools.
    of_results: it holds only for rewards that compare what calls returned.
    """

    better: str
    worse: str
    why: str
    strict: bool = True
    tool_aware: bool = False
    of_results: bool = False

    def broken(self, scores: Mapping[str, float]) -> bool:
        lead = scores[self.better] - scores[self.worse]
        return lead <= TOLERANCE if self.strict else lead < -TOLERANCE


RULES = (
    Rule("honest", "honest, wrong answer", "a wrong answer is worth as much as the right one"),
    Rule("no tool, right answer", "honest, wrong answer", "tool use outweighs the answer"),
    Rule("honest", "no tool, right answer", "leaving the tools out pays more than using them", strict=False),
    Rule("honest", "repeats", "repeating calls is free", tool_aware=True),
    Rule("honest", "malformed calls before", "malformed calls are free", tool_aware=True),
    Rule("honest", "unknown tool before", "calls of tools that do not exist are free", tool_aware=True),
    Rule("no tool, right answer", "calls in thinking only", "calls that never ran are paid", strict=False),
    Rule("no answer", "answer in thinking only", "an answer that was only thought is taken", strict=False),
    Rule(
        "no answer", "answer in a call and its reply only", "what a tool replied is taken as the answer", strict=False
    ),
    Rule("no answer", "answer in a turn that still calls", "an answer before the last call is taken", strict=False),
    Rule("honest", "several answers in one", "a list of guesses is as good as an answer"),
    Rule("no answer", "cut before the end", "a text without its end is paid", strict=False),
    Rule("wrong answer after an unknown tool", "no answer without tools", "not to answer pays", strict=False),
    Rule(
        "right without tools, as the teacher",
        "wrong without tools, as the teacher",
        "where the teacher used no tool, the right answer is worth no more than a wrong one",
    ),
    *(
        Rule("honest", worse, why, strict=worse != "calls in reverse order", of_results=True)  # may be independent
        for worse, why in (
            ("no tool, right answer", "results that no call returned are paid"),
            ("results guessed as arguments", "a result that a call was given is paid"),
            ("answer guessed as an argument", "an answer that a call was given is paid"),
            ("number of the question returned before", "calls that return what the question says are free"),
            ("many arguments tried", "trying arguments is free"),
            ("many arguments tried in one turn", "trying arguments in one turn is free"),
            ("one number after the other tried", "trying numbers is free"),
            ("calls in reverse order", "results before those they are made from pay more"),
            ("failing calls between", "failing calls are free"),
            ("calls after the answer", "calls after the answer are free"),
            ("replies written by the student", "replies that no tool gave are paid"),
            ("the same tools with nonsense", "names without their results are paid"),
            ("every result several times", "results that were there already are free"),
            ("every result in two forms", "another form of a result is another result"),
        )
    ),
)


def broken_rules(scores: Mapping[str, float], compares_results: bool = False) -> list[Rule]:
    """Return the rules that the scores break; a rule of a case that the chat format cannot spell is left out."""
    tool_aware = scores["honest"] > scores["no tool, right answer"] + TOLERANCE
    return [
        rule
        for rule in RULES
        if rule.better in scores and rule.worse in scores
        if (tool_aware or not rule.tool_aware) and (compares_results or not rule.of_results) and rule.broken(scores)
    ]
