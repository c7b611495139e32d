"""Seven mathematics files with schemas of their own; every gold answer is right, and wrong with one digit changed."""

import json
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mentor.errors import InputError
from mentor.rewards.boxed import extract_boxed
from mentor.rewards.correctness import Grader
from mentor.tasks import load_tasks
from mentor.tasks.mathematics import closed

SIZES = {"aime24": 30, "aime25": 30, "amc23": 40, "minerva_math": 272, "math500": 500, "olympiadbench": 675}
MAX_SHARE = 0.005  # of gold answers judged wrongly, either way


def load(tmp_path: Path, *rows: dict) -> list:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_tasks("math", path=str(path), split="test")


@pytest.mark.parametrize(
    ("row", "answer", "task_id"),
    [
        ({"id": 60, "problem": "p", "question": "q", "answer": "025", "url": "u"}, "025", "rows-60"),
        ({"problem": "p", "answer": 70, "id": "0"}, "70", "rows-0"),
        ({"id": 0, "problem": "p", "answer": 27.0}, "27", "rows-0"),
        ({"problem": "p", "solution": r"so \boxed{1.6} \mathrm{~cm}", "idx": 3}, "1.6", "rows-3"),
        ({"problem": "p", "answer": r"\frac12", "unique_id": "test/a/1.json"}, r"\frac12", "rows-test/a/1.json"),
        ({"id": 1, "question": "p", "final_answer": ["$(1,1), (3,2)$"], "unit": None}, "$(1,1), (3,2)$", "rows-1"),
        ({"id": 1, "question": "p", "final_answer": ["2", "-1"]}, "2, -1", "rows-1"),
        (
            {"problem": None, "question": "p", "final_answer": None, "answer": None, "solution": r"\boxed{4}"},
            "4",
            "rows-000000",
        ),
        ({"problem": "p", "answer": r"\frac{1}{2^{15}"}, r"\frac{1}{2^{15}}", "rows-000000"),
    ],
)
def test_a_row_is_read_by_the_keys_it_has(tmp_path, row, answer, task_id):
    (task,) = load(tmp_path, row)
    assert (task.id, task.question, task.answer, task.split) == (task_id, "p", (answer,), "test")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"problem": "p", "solution": "none"},
            "rows.jsonl:2: no answer, given: 'problem', 'solution'; accepted",
        ),
        ({"answer": "5"}, "rows.jsonl:2: no key 'question', given: 'answer'"),
        ({"problem": "p", "answer": "5", "id": 1.5}, "rows.jsonl:2: the id is a number (1.5)"),
        ({"problem": "p", "answer": "5", "id": 1}, "rows.jsonl:2: id 'rows-1' was given before at"),
        ({"problem": "p", "final_answer": []}, "rows.jsonl:2: final_answer is a list ([])"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, row, message):
    with pytest.raises(InputError) as caught:
        load(tmp_path, {"problem": "p", "answer": "5", "id": 1}, row)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(message) and "\n" not in str(caught.value)


def test_open_braces_are_closed_and_escaped_ones_left():
    assert closed(r"\{1, \frac{1}{2}") == r"\{1, \frac{1}{2}"
    assert closed(r"\left\{x^{2\right.") == r"\left\{x^{2\right.}"


# --- gold answers ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(timeout_s=20.0, workers=2) as grader:
        yield grader


def gold_answers(shared: Path) -> list[tuple[str, str]]:
    """(task id, answer) of every row, all files."""
    folder = shared / "data" / "math"
    files = [*(f"{name}.jsonl" for name in SIZES), "omni_math_rule_0000-1409.jsonl.gz"]
    tasks = [task for name in files for task in load_tasks("math", path=str(folder / name), split="test")]
    assert len(tasks) == sum(SIZES.values()) + 1410
    return [(task.id, task.answer[0]) for task in tasks]


def digit_changed(answer: str) -> str | None:
    """One digit replaced by another, always the same for one answer; None without digits."""
    places = [found.start() for found in re.finditer(r"\d", answer)]
    if not places:
        return None
    chance = random.Random(answer)
    place = chance.choice(places)
    return answer[:place] + chance.choice([d for d in "0123456789" if d != answer[place]]) + answer[place + 1 :]


def misjudged(answers: list[tuple[str, str]], grader: Grader) -> tuple[list[str], list[str], int]:
    """Gold answers not judged right, changed ones not judged wrong, and how many could be changed."""
    changed = [(task_id, answer, other) for task_id, answer in answers if (other := digit_changed(answer))]

    def boxed(prediction: str, answer: str) -> bool | None:
        return grader.grade(extract_boxed(rf"It is \boxed{{{prediction}}}."), [answer])

    with ThreadPoolExecutor(2) as threads:
        right = list(threads.map(lambda entry: boxed(entry[1], entry[1]), answers))
        wrong = list(threads.map(lambda entry: boxed(entry[2], entry[1]), changed))
    missed = [f"{task_id}: {answer}" for (task_id, answer), verdict in zip(answers, right, strict=True) if not verdict]
    taken = [
        f"{task_id}: {other} for {answer}"
        for (task_id, answer, other), verdict in zip(changed, wrong, strict=True)
        if verdict is not False
    ]
    return missed, taken, len(changed)


def test_some_gold_answers_are_right_and_wrong_with_a_digit_changed(shared, grader):
    answers = gold_answers(shared)[::20]
    missed, taken, changed = misjudged(answers, grader)
    assert missed == [] and taken == [] and changed > 100


@pytest.mark.slow
def test_every_gold_answer_is_right_and_wrong_with_a_digit_changed(shared, grader):
    answers = gold_answers(shared)
    missed, taken, changed = misjudged(answers, grader)
    assert len(missed) <= MAX_SHARE * len(answers), missed
    assert len(taken) <= MAX_SHARE * changed, taken
