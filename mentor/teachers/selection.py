"""Choose what of a teacher's work is kept: one try a task, tasks unlike evaluation questions; and what is covered.

Pure functions. Two trajectories take the same path when their call graphs are equal: the same calls, where an argument
that equals an earlier result is a reference to its call. The order of independent calls does not count.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mentor.tasks.programs import tidy
from mentor.teachers.transcript import number_of, shown_value
from mentor.types import Task, Trajectory

NGRAM = 13  # words
_NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")
_WORD = re.compile(r"\w+")

Ngram = tuple[str, ...]


# --- tries -----------------------------------------------------------------------------------------------------------


def call_graph(trajectory: Trajectory) -> tuple[str, ...]:
    """Return the executed calls as sorted digests, one a call: of name, arguments, digests of calls it builds on.

    An argument that equals the result of an earlier call, and that the question does not state, is a reference to it.
    """
    stated = _numbers(trajectory.task.question)
    answering = trajectory.messages[len(trajectory.task.prompt) :]
    results = [message["content"] for message in answering if message["role"] == "tool"]
    made_by: dict[str, str] = {}  # result as JSON text: the call that gave it
    digests = []
    for call, text in zip(trajectory.calls, results, strict=False):
        if not call.ok:
            continue
        arguments = {key: _normal(value, made_by, stated) for key, value in call.arguments.items()}
        digest = hashlib.sha256(_text([call.name, arguments]).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        result = _text(_plain(shown_value(text)))
        made_by[result] = min(digest, made_by.get(result, digest))  # whichever of equals came first
        digests.append(digest)
    return tuple(sorted(digests))


def ranked(trajectories: Iterable[Trajectory], how: str) -> list[Trajectory]:
    """Sort, the best first: by `fewest_calls` attempted, `shortest` in written characters, or as given (`first`).

    Ties keep their order. Raises ValueError for another word.
    """
    keys = {"fewest_calls": lambda entry: len(entry.calls), "shortest": written, "first": lambda entry: 0}
    if how not in keys:
        raise ValueError(f"choose={how}, accepted: {', '.join(keys)}")
    return sorted(trajectories, key=keys[how])


def distinct(trajectories: Iterable[Trajectory]) -> list[Trajectory]:
    """Keep the first trajectory of each call graph, in order."""
    by_graph: dict[tuple[str, ...], Trajectory] = {}
    for trajectory in trajectories:
        by_graph.setdefault(call_graph(trajectory), trajectory)
    return list(by_graph.values())


def written(trajectory: Trajectory) -> int:
    """Count the characters of the assistant's turns: text, reasoning and calls."""
    turns = [message for message in trajectory.messages if message["role"] == "assistant"]
    return sum(
        len(turn["content"]) + len(turn.get("reasoning_content", "")) + len(_text(turn.get("tool_calls", "")))
        for turn in turns
    )


def _normal(value: Any, made_by: Mapping[str, str], stated: set[str]) -> Any:
    """Replace results of earlier calls in an argument by references, also inside lists and objects."""
    if isinstance(value, list):
        return [_normal(entry, made_by, stated) for entry in value]
    if isinstance(value, dict):
        return {key: _normal(entry, made_by, stated) for key, entry in value.items()}
    text = _text(_plain(value))
    return {"$call": made_by[text]} if text in made_by and text not in stated else _plain(value)


def _plain(value: Any) -> Any:
    return tidy(value) if isinstance(value, float) else value


def _numbers(question: str) -> set[str]:
    """Find the numbers that a question states, as JSON text."""
    found = (number_of(text.replace(",", "")) for text in _NUMBER.findall(question))
    return {_text(_plain(value)) for value in found if value is not None}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


# --- tasks -----------------------------------------------------------------------------------------------------------


class Contamination:
    """Evaluation questions by file, to find the tasks that contain them.

    A question of at least `n` words matches a task that shares `n` words in a row with it. A shorter one matches only a
    task of exactly its words. Case and punctuation do not count.
    """

    def __init__(self, questions: Mapping[str, Iterable[str]], n: int = NGRAM) -> None:
        self.n = n
        self._whole: dict[Ngram, str] = {}
        self._ngrams: dict[Ngram, str] = {}
        for name, texts in questions.items():
            for text in texts:
                words = _words(text)
                if words and len(words) < n:
                    self._whole.setdefault(words, name)
                for ngram in _ngrams(words, n):
                    self._ngrams.setdefault(ngram, name)

    def match(self, question: str) -> tuple[str, str] | None:
        """Return (file, shared words) of the first match, None where nothing matches."""
        words = _words(question)
        if words in self._whole:
            return self._whole[words], " ".join(words)
        return next(
            ((self._ngrams[ngram], " ".join(ngram)) for ngram in _ngrams(words, self.n) if ngram in self._ngrams), None
        )


def _words(text: str) -> Ngram:
    return tuple(_WORD.findall(text.lower()))


def _ngrams(words: Ngram, n: int) -> Iterable[Ngram]:
    return (words[start : start + n] for start in range(len(words) - n + 1))


# --- coverage ----------------------------------------------------------------------------------------------------


def coverage(trajectories: Sequence[Trajectory], tasks: Sequence[Task], tools: Sequence[str]) -> dict[str, Any]:
    """Count what the kept trajectories cover.

    tools_unused: tools that no trajectory used. calls_per_task: number of executed calls -> number of trajectories.
    pass_rate: trajectories over tasks.
    """
    used = {call.name for trajectory in trajectories for call in trajectory.executed_calls()}
    histogram = Counter(len(trajectory.executed_calls()) for trajectory in trajectories)
    return {
        "tools_unused": [name for name in tools if name not in used],
        "calls_per_task": {str(calls): histogram[calls] for calls in sorted(histogram)},
        "pass_rate": round(len(trajectories) / max(1, len(tasks)), 6),
    }
