"""Generated calculator questions: order, disjoint splits, answers and refused arguments."""

import hashlib
import json
from dataclasses import replace

import pytest

from mentor.errors import InputError
from mentor.tasks import calculator
from mentor.tasks.calculator import BUCKETS, check_disjoint, generate, normalized
from mentor.tasks.programs import (
    HELD_OUT_PAIRS,
    OPERATIONS,
    bucket,
    evaluate,
    number_text,
    signature,
    tool_pairs,
)

SIZES = {"pretrain": 1500, "train": 300, "test": 200, "long": 60, "wording": 100, "combo": 100, "numbers": 100}
SIZES["train_long"] = 300
PAIR = ("train", "train_long")
EVALUATED = ("test", "long", "wording", "combo", "numbers")


def every_split(seed, max_steps=3):
    return [task for split, size in SIZES.items() for task in generate(split, size, max_steps, seed)]


def test_same_arguments_give_the_same_tasks_and_a_smaller_size_their_beginning():
    tasks = generate("train", 50, 3, seed=7)
    assert generate("train", 50, 3, seed=7) == tasks
    assert generate("train", 20, 3, seed=7) == tasks[:20]
    assert {task.question for task in tasks}.isdisjoint(task.question for task in generate("test", 50, 3, seed=7))
    assert [task.question for task in generate("train", 50, 3, seed=8)] != [task.question for task in tasks]
    assert tasks[12].id == "calculator-train-000012"
    assert tasks[0].toolset == "calculator" and tasks[0].split == "train"


def test_splits_share_no_question_and_no_program_whatever_the_seeds_and_step_limits():
    tasks = every_split(0) + every_split(1) + every_split(2, max_steps=2) + every_split(3, max_steps=5)
    check_disjoint(tasks)
    roots = {split: set() for split in BUCKETS}  # a space of only 30 questions
    for task in tasks:
        if task.source["program"][0]["name"] == "sqrt" and len(task.source["program"]) == 1:
            roots[task.split].add(task.answer)
    assert roots["train"] and roots["test"] and not roots["train"] & roots["test"]


def test_only_the_two_splits_to_train_on_share_buckets():
    for split, buckets in BUCKETS.items():
        shared = {other for other in BUCKETS if set(BUCKETS[other]) & set(buckets)}
        assert shared == ({"train", "train_long"} if split in ("train", "train_long") else {split})
    tasks = generate("train_long", 300, 3, 0)
    assert {bucket(task.source["program"], 100) for task in tasks} <= set(range(40, 70))
    evaluated = [task for split in EVALUATED for task in generate(split, SIZES[split], 3, 1)]
    for key in (lambda task: normalized(task.question), lambda task: signature(task.source["program"])):
        assert {key(task) for task in tasks}.isdisjoint(key(task) for task in evaluated)


def test_train_and_train_long_may_meet_at_different_step_limits_and_never_at_the_same():
    (task,) = generate("train_long", 1, 1, 0)  # 2 or 3 steps, as `train` may have with max_steps=3
    as_train = replace(task, id="train-0", split="train")
    check_disjoint([task, as_train])
    with pytest.raises(InputError, match="splits train_long and test share"):
        check_disjoint([task, replace(task, id="test-0", split="test")])
    programs = {split: {signature(t.source["program"]) for t in generate(split, 300, 3, 0)} for split in PAIR}
    assert programs["train"].isdisjoint(programs["train_long"])


@pytest.mark.parametrize(
    ("split", "digest"),
    [
        ("pretrain", "8db0a0eb7c5bfa87"),
        ("train", "1d58f172e6ae0116"),
        ("test", "90987f990bb639a1"),
        ("long", "1e5db4e0a79ecf44"),
        ("wording", "b75d7d134d2d52ee"),
        ("combo", "4c1b95688ae3008c"),
        ("numbers", "a548fcb1bea9ea83"),
    ],
)
def test_the_questions_of_earlier_versions_are_the_same_bytes(split: str, digest: str):
    tasks = [task for seed in (0, 1, 2) for task in generate(split, 60, 3, seed)]
    rows = [[task.id, task.question, task.answer, task.split, task.source] for task in tasks]
    text = "".join(json.dumps(row, sort_keys=True) for row in rows)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest


def test_check_disjoint_names_what_two_splits_share():
    task = generate("train", 1, 1, 0)[0]
    other = type(task)("other-0", "Said otherwise?", task.answer, "calculator", "test", source=task.source)
    with pytest.raises(InputError, match="splits train and test share .*calculator-train-000000, other-0"):
        check_disjoint([task, other])


def test_each_split_is_what_it_says():
    for task in every_split(0):
        program, split = task.source["program"], task.split
        lengths = {"long": {4, 5}, "train_long": {4, 5}, "combo": {2, 3}, "pretrain": {1, 2, 3, 4, 5}}
        assert len(program) in lengths.get(split, {1, 2, 3})
        assert bool(tool_pairs(program) & HELD_OUT_PAIRS) == (split == "combo")
    assert {len(task.source["program"]) for task in generate("train", 60, 3, 0)} == {1, 2, 3}
    assert {len(task.source["program"]) for task in generate("pretrain", 200, 3, 0)} == {1, 2, 3, 4, 5}
    assert {len(task.source["program"]) for task in generate("train_long", 60, 6, 0)} == {7, 8}


def test_every_tool_is_used_and_every_held_out_pair_can_occur():
    assert {entry["name"] for task in generate("train", 200, 3, 0) for entry in task.source["program"]} == set(
        OPERATIONS
    )
    combos = generate("combo", 1500, 3, 0)
    assert set().union(*(tool_pairs(task.source["program"]) for task in combos)) >= HELD_OUT_PAIRS


def test_answers_are_short_and_exact_and_questions_determine_them():
    program_of = {}
    for task in every_split(0):
        value = evaluate(task.source["program"])[-1]
        assert task.answer == (number_text(value),) and len(task.answer[0].lstrip("-")) <= 9
        assert "e" not in task.answer[0] and not task.answer[0].endswith(".0")
        key = normalized(task.question)
        assert program_of.setdefault(key, signature(task.source["program"])) == signature(task.source["program"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dev", 5, 3, 0), "calculator split=dev: no such split, accepted: pretrain, train, train_long, test, long"),
        (("train", 0, 3, 0), "calculator size=0: accepted: 1 or more"),
        (("train", 5, 0, 0), "calculator max_steps=0: accepted: 1 to 8 for split train"),
        (("combo", 5, 1, 0), "calculator max_steps=1: accepted: 2 to 8 for split combo"),
    ],
)
def test_refused_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        generate(*arguments)


def test_more_tasks_than_questions(monkeypatch):
    monkeypatch.setattr(calculator, "OPERATIONS", {"sqrt": OPERATIONS["sqrt"]})
    monkeypatch.setattr(calculator, "TRIES_PER_TASK", 200)
    with pytest.raises(InputError, match=r"calculator size=500: split train has about \d+ questions with max_steps=1"):
        generate("train", 500, 1, 0)
