"""Tasks in the format that their answers are read in, and questions that ask for another one.

A file whose questions ask for `####` while the answers are read from `\\boxed{}` gives an obedient student nothing, so
a stage that loads tasks says so with the key that fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mentor.rewards.answer_formats import FORMATS, answer_format
from mentor.types import Task

MARKED = ("hashes", "tag")  # formats with a mark that an accepted answer may be given with


def in_format(tasks: Sequence[Task], name: str) -> list[Task]:
    """Return the tasks with this format of the final answer. An accepted answer that is written in it is unwrapped."""
    form = answer_format(name)

    def accepted(answer: str) -> str:
        return (form.read(answer) if name in MARKED else None) or answer

    return [replace(task, answer_format=name, answer=tuple(map(accepted, task.answer))) for task in tasks]


def format_warnings(tasks: Sequence[Task], key: str, around: Mapping[str, str | None] | None = None) -> list[str]:
    """Return a line where questions ask for another format than the tasks have, and for each text that does.

    key: of the section that the tasks are loaded by. around: by key, texts that are sent with every question. Tasks
    without an answer are left out.
    """
    asked = [task for task in tasks if task.answer]
    if not asked:
        return []
    name = asked[0].answer_format
    read = f"answers are read with {key}.answer_format={name}"
    found = Counter(other for task in asked if (other := other_format(question_text(task), name)))
    lines = []
    if found:
        (other, times), *_ = found.most_common(1)
        fits = f"{key}.answer_format={other} reads what they ask for"
        lines.append(f"{times} of {len(asked)} questions ask for {FORMATS[other].request}, but {read}: {fits}")
    for place, text in (around or {}).items():
        if text and (other := other_format(text, name)):
            wanted = answer_format(name).request
            lines.append(f"{place} asks for {FORMATS[other].request}, but {read}: let it ask for {wanted}")
    return lines


def other_format(text: str, name: str) -> str | None:
    """Return the format that a text asks for; None where it asks for this one, or for none that is known."""
    found = [form.name for form in FORMATS.values() if form.asked is not None and form.asked.search(text)]
    return found[0] if found and name not in found else None


def question_text(task: Task) -> str:
    """Return what the system and the user say in the prompt of a task."""
    return "\n".join(message["content"] for message in task.prompt if message["role"] in ("system", "user"))
