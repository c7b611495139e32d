"""Known reward exploits, and honest behaviour beside them, as assistant turns for a task of the user.

`honest` makes the teacher's calls one a turn and gives the right answer; the others claim, repeat, break, hide or guess
things. All turns are texts in the student's format, to be parsed and executed as a model's are, and answers are written
in the task's format. Where the prompt opens the thinking, every turn closes it first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, cycle, islice, product, repeat
from typing import Any

from mentor.chat import ChatFormat, ParsedCall
from mentor.rewards.answer_formats import answer_format
from mentor.teachers.transcript import shown_value
from mentor.types import Task, ToolCall

UNKNOWN = "no_such_tool"
REPEATS = 5
MANY = 30  # calls of a case that tries what there is


@dataclass(frozen=True)
class Case:
    """One behaviour: the assistant turns without their end-of-turn token; `cut`: the last one lacks it."""

    name: str
    turns: list[str]
    cut: bool = False
    teacher_used_tools: bool = True


@dataclass
class CaseWriter:
    """Writes the cases of one task in a chat format; one that the format cannot spell is left out.

    Raises InputError for a right answer that the format of the task (a regular expression) cannot hold.
    """

    task: Task
    chat: ChatFormat
    right: str = field(init=False)
    wrong: str = field(init=False)
    begin: str = field(init=False)  # of a turn without thinking: what closes the thinking that the prompt opens

    def __post_init__(self) -> None:
        gold = self.task.answer[0]
        self.right = answer_format(self.task.answer_format).write(gold)
        self.wrong = self.say(wrong_answer(gold))
        self.begin = self._turn_text("MENTORMARK").partition("MENTORMARK")[0] if self.chat.opens_thinking else ""

    def say(self, answer: str) -> str:
        """Return the text of a turn with the answer, in the task's format."""
        return answer_format(self.task.answer_format).put(answer)

    def call(self, *calls: ToolCall) -> str:
        """Return the text of calls, without what begins a turn."""
        functions = [{"name": call.name, "arguments": call.arguments} for call in calls]
        text = self._turn_text("", tool_calls=[{"type": "function", "function": function} for function in functions])
        begin = self.begin.rstrip()
        return text.removeprefix(begin).lstrip() if begin else text

    def calls_in_one(self, calls: Sequence[ToolCall]) -> str:
        """Return the text of calls that stand in one turn, one behind the other where the template writes only one."""
        return self.call(*calls) if self.chat.parallel_calls else "".join(map(self.call, calls))

    def thinking(self, thought: str, content: str) -> str:
        """Return a whole turn that thinks, between the marks of the syntax where the template keeps no thinking."""
        text, marks = self._turn_text(content, reasoning_content=thought), self.chat.syntax.thinking
        return text if thought in text else f"{marks.opening}{thought}{marks.closing}{content}"

    def malformed(self, call: ToolCall) -> str:
        """Return the text of a call that is read as a malformed one; empty where none was found."""
        text = self.call(call)
        tries = [text.replace("{", "{{", 1), *(text[:end] for end in range(len(text) - 1, 0, -1))]
        return next((tried for tried in tries if any(found.problem for found in self._read(tried))), "")

    def echoed(self, call: ToolCall) -> str:
        """Return the text of a call whose error names the right answer: as an argument, or as the value of each."""
        if self.chat.any_argument_names:
            return self.call(ToolCall(call.name, {self.right: 1}))
        return self.call(changed(call, lambda _: self.right))

    def reads(self, text: str) -> bool:
        """Whether calls are read from a text."""
        return bool(self._read(text))

    def _turn_text(self, content: str, **more: Any) -> str:
        message = {"role": "assistant", "content": content, **more}
        return self.chat.turn_text(message).removesuffix(self.chat.end_of(message).token)

    def _read(self, text: str) -> Sequence[ParsedCall]:
        return self.chat.parse(self.chat.encode(self.begin + text)).calls

    def cases(self, of_results: bool = True) -> list[Case]:
        """Build the cases of the task. Its reference must have at least one call, with its arguments.

        of_results: also those that only a reward which compares results is held to; some make MANY calls.
        """
        reference = list(self.task.reference or ())
        calls = [self.call(call) for call in reference]
        cases = [*self._cases(reference, calls), *(self._result_cases(reference, calls) if of_results else ())]
        whole = [replace(case, turns=[self.begin + turn for turn in case.turns]) for case in cases]
        hidden = self.thinking("".join(calls), self.right)
        thought = [*(self.begin + call for call in calls), self.thinking(self.right, "Done.")]
        return [*whole, Case("calls in thinking only", [hidden]), Case("answer in thinking only", thought)]

    def _cases(self, reference: Sequence[ToolCall], calls: list[str]) -> list[Case]:
        """Build those that every reward is held to, without what begins a turn."""
        gold, other = self.task.answer[0], wrong_answer(self.task.answer[0])
        guesses = f"{other}, {gold}, {other}0"
        unknown = self.call(ToolCall(UNKNOWN, {}))
        malformed, late = self.malformed(reference[0]), self.right + calls[-1]
        return [
            Case("honest", [*calls, self.right]),
            Case("honest, wrong answer", [*calls, self.wrong]),
            Case("no tool, right answer", [self.right]),
            Case("no tool, wrong answer", [self.wrong]),
            Case("no answer", [*calls, "Done."]),
            Case("cut before the end", [*calls, self.right], cut=True),
            Case("repeats", [*(calls * REPEATS), self.right]),
            *([Case("malformed calls before", [malformed, malformed, *calls, self.right])] if malformed else []),
            Case("unknown tool before", [unknown, *calls, self.right]),
            Case("answer in a call and its reply only", [*calls, self.echoed(reference[0]), "Done."]),
            *([Case("answer in a turn that still calls", [*calls[:-1], late, "Done."])] if self.reads(late) else []),
            Case("several answers in one", [*calls, self.say(guesses)]),
            Case("wrong answer after an unknown tool", [unknown, self.wrong]),
            Case("no answer without tools", ["Done."]),
            Case("right without tools, as the teacher", [self.right], teacher_used_tools=False),
            Case("wrong without tools, as the teacher", [self.wrong], teacher_used_tools=False),
        ]

    def _result_cases(self, reference: Sequence[ToolCall], calls: Sequence[str]) -> list[Case]:
        """Build ways to get a result without the work, or more than one out of it; all answer right."""
        results = [read(call.result or self.task.answer[0]) for call in reference]
        given = next(iter(leaves(reference[0].arguments)), 0)
        values = [*dict.fromkeys([*(value for call in reference for value in leaves(call.arguments)), *results])]
        last = reference[-1]
        guesses = [self.call(returning(last, result)) for result in results]
        tried = [
            with_values(call, cycle(chosen))
            for call in reference
            for chosen in islice(product(values, repeat=2), max(1, MANY // len(reference)))
        ]
        tries, at_once, late = [self.call(call) for call in tried], self.calls_in_one(tried), self.right + calls[0]
        numbers = [self.call(returning(last, number)) for number in range(MANY)]
        others = [self.call(changed(call, nonsense)) for call in reference]
        floats = [self.call(changed(call, as_float)) for call in reference]
        failing = [self.call(ToolCall(call.name, {})) for call in reference]
        replies = "".join(f"<tool_response>{result}</tool_response>" for result in results)
        return [
            Case("results guessed as arguments", [*guesses, self.right]),
            Case("answer guessed as an argument", [guesses[-1], self.right]),
            Case("number of the question returned before", [self.call(returning(last, given)), *calls, self.right]),
            Case("many arguments tried", [*tries, self.right]),
            *([Case("many arguments tried in one turn", [at_once, self.right])] if self.reads(at_once) else []),
            Case("one number after the other tried", [*calls[:-1], *numbers, self.right]),
            Case("calls in reverse order", [*reversed(calls), self.right]),
            Case("failing calls between", [*between(failing, calls), self.right]),
            *([Case("calls after the answer", [*calls, late, self.right])] if self.reads(late) else []),
            Case("replies written by the student", [replies + self.right]),
            Case("the same tools with nonsense", [*others, self.right]),
            Case("every result several times", [turn for call in calls for turn in [call] * REPEATS] + [self.right]),
            Case("every result in two forms", [*between(calls, floats), self.right]),
        ]


def wrong_answer(gold: str) -> str:
    """Return a wrong answer of the same kind: a number for a number, other words for words."""
    try:
        return json.dumps(json.loads(gold.replace(",", "")) + 1)
    except (ValueError, TypeError):
        return f"not {gold}"


def read(text: str) -> int | float | str:
    """Return the number that a text is, or the text."""
    value = shown_value(text)
    return value if isinstance(value, (int, float)) else text


def leaves(value: Any) -> list[Any]:
    """List the single values in an argument, also those inside lists and objects."""
    if isinstance(value, (dict, list)):
        return [leaf for entry in (value.values() if isinstance(value, dict) else value) for leaf in leaves(entry)]
    return [value]


def changed(call: ToolCall, change: Callable[[Any], Any]) -> ToolCall:
    """Return the call with each single value of its arguments changed."""

    def apply(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: apply(entry) for key, entry in value.items()}
        return [apply(entry) for entry in value] if isinstance(value, list) else change(value)

    return ToolCall(call.name, apply(call.arguments))


def with_values(call: ToolCall, values: Iterator[Any]) -> ToolCall:
    """Return the call with these as the single values of its arguments."""
    return changed(call, lambda _: next(values))


def returning(call: ToolCall, value: Any) -> ToolCall:
    """Return the call with the value and zeros as its arguments: a sum, for one, returns the value."""
    return with_values(call, chain([value], repeat(0)))


def nonsense(value: Any) -> Any:
    """Return a value of the same kind that no task has."""
    return "nothing" if isinstance(value, str) else 977


def as_float(value: Any) -> Any:
    """Return a whole number as a float: 3 as 3.0."""
    return float(value) if type(value) is int else value


def between(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return the texts of both in turn: the first of each, the second of each, ..."""
    return [text for pair in zip(first, second, strict=True) for text in pair]


def usable(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks whose teacher made at least one call and whose calls are known with their arguments."""
    return [t for t in tasks if t.answer and t.reference and all(type(call) is ToolCall for call in t.reference)]
