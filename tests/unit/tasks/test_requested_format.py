"""The format of the answer that tasks have, and questions that ask for another one."""

import pytest

from mentor.tasks.requested_format import format_warnings, in_format, other_format
from mentor.types import Task


def ask(question: str, *answer: str, **changes) -> Task:
    return Task("t", question, answer or ("13",), "", **changes)


@pytest.mark.parametrize(
    ("text", "name", "other"),
    [
        ('Add 9 to 4. Write the final answer after "####".', "boxed", "hashes"),
        ('Add 9 to 4. Write the final answer after "####".', "hashes", None),
        (r"Put your answer within \boxed{}.", "hashes", "boxed"),
        (r"Put it in \boxed{}, and write #### before it.", "hashes", None),
        ("Reason in <think> and answer in <answer> </answer>.", "boxed", "tag"),
        ("The last line should hold the answer alone.", "boxed", "last_line"),
        ("Give your answer on the last line.", "json", "last_line"),
        ('Reply as {"reason": ..., "answer": ...}.', "boxed", "json"),
        ("What is the last line of the poem? Ada has an answer.", "boxed", None),
        ("Use ##### as a heading.", "boxed", None),
        ("Add 9 to 4.", "boxed", None),
    ],
)
def test_the_format_that_a_text_asks_for(text: str, name: str, other: str | None) -> None:
    assert other_format(text, name) == other


def test_the_line_names_the_count_and_the_key_that_fits() -> None:
    system = {"role": "system", "content": "End with #### and the answer."}
    tasks = [ask("Add 9 to 4."), ask("Add 9 to 4.", earlier=(system,)), ask("Write it after ####.")]
    assert format_warnings(tasks, "task") == [
        "2 of 3 questions ask for the final answer after ####, on a line of its own, but answers are read with "
        "task.answer_format=boxed: task.answer_format=hashes reads what they ask for"
    ]
    assert format_warnings(in_format(tasks, "hashes"), "task") == []
    assert format_warnings([Task("c", "Write it after ####.", (), "")], "task") == []  # no answer is read


def test_a_text_around_the_questions_is_looked_at_too() -> None:
    around = {"model.question_template": r"{question} Answer in \boxed{}.", "teacher.instruction": None}
    assert format_warnings([ask("Add 9 to 4.")], "task", around) == []
    (line,) = format_warnings(in_format([ask("Add 9 to 4.")], "tag"), "benchmark.x.task", around)
    assert line == (
        r"model.question_template asks for the final answer in \boxed{}, but answers are read with "
        "benchmark.x.task.answer_format=tag: let it ask for the final answer between <answer> and </answer>"
    )


@pytest.mark.parametrize(
    ("name", "gold", "answer"),
    [
        ("hashes", "9 and 4 are 13.\n#### 13", "13"),
        ("tag", "<answer>13</answer>", "13"),
        ("hashes", "13", "13"),
        ("boxed", "#### 13", "#### 13"),
        ("last_line", "a\nb", "a\nb"),
    ],
)
def test_an_accepted_answer_in_the_format_is_unwrapped(name: str, gold: str, answer: str) -> None:
    (task,) = in_format([ask("Add 9 to 4.", gold)], name)
    assert (task.answer, task.answer_format) == ((answer,), name)
