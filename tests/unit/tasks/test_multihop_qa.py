"""Multi-hop questions as their authors and trainers publish them."""

import json

import pytest

from mentor.errors import InputError
from mentor.tasks import load_tasks


def load(tmp_path, *rows, name="rows.jsonl"):
    path = tmp_path / name
    text = json.dumps(rows) if name.endswith(".json") else "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text)
    return load_tasks("multihop_qa", path=str(path), split="test")


FLASHRAG = {"id": "test_0", "question": " Who? ", "golden_answers": ["james madison", "Madison", "Madison"]}
VERL = {
    "data_source": "hotpotqa",
    "prompt": [{"role": "user", "content": "Answer the question. Who?"}],
    "reward_model": {"ground_truth": "yes", "style": "rule"},
    "extra_info": {"question": "Who?", "answer": "yes", "index": 0},
}
HOTPOTQA = {"_id": "5a", "question": "Who?", "answer": "a spirit", "type": "bridge", "context": [["T", ["S."]]]}
VERL_TEXT = VERL | {key: json.dumps(VERL[key]) for key in ("reward_model", "extra_info")}
NULLS = {"id": None, "golden_answers": [], "answerable": None, "extra_info": None}  # as a parquet file fills them
MUSIQUE = {"id": "2hop", "question": "Who?", "answer": "G. Hall", "answer_aliases": ["Hall"], "answerable": True}


@pytest.mark.parametrize(
    ("row", "task_id", "answers"),
    [
        (FLASHRAG, "test_0", ("james madison", "Madison")),
        (VERL, "rows-000000", ("yes",)),
        (VERL_TEXT, "rows-000000", ("yes",)),
        (HOTPOTQA, "5a", ("a spirit",)),
        (NULLS | HOTPOTQA, "5a", ("a spirit",)),
        (MUSIQUE, "2hop", ("G. Hall", "Hall")),
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_each_kind_of_row(tmp_path, row, task_id, answers, name):
    (task,) = load(tmp_path, row, name=name)
    assert (task.id, task.question, task.answer, task.split) == (task_id, "Who?", answers, "test")


def test_an_unanswerable_twin_is_left_out(tmp_path):
    assert len(load(tmp_path, MUSIQUE, {**MUSIQUE, "answerable": False})) == 1
    with pytest.raises(InputError, match="no row is answerable"):
        load(tmp_path, {**MUSIQUE, "answerable": False})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "Who?"}, "no answer, given: 'question'; accepted: `golden_answers`"),
        ({"answer": "x"}, "no key 'question', given: 'answer'"),
        ({"question": "Who?", "golden_answers": []}, r"golden_answers is a list \(\[\]\)"),
        ({"question": "Who?", "reward_model": {}}, "reward_model: no key 'ground_truth'"),
        (VERL | {"reward_model": "{"}, r"reward_model is a string .* not JSON"),
        (FLASHRAG, "id 'test_0' was given before at"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, row, message):
    with pytest.raises(InputError, match=rf"rows\.jsonl:2.*{message}"):
        load(tmp_path, FLASHRAG, row)


def test_a_json_file_that_is_no_list_of_objects(tmp_path):
    (tmp_path / "rows.json").write_text('[{"question": ')
    with pytest.raises(InputError, match=r"rows\.json: not JSON"):
        load_tasks("multihop_qa", path=str(tmp_path / "rows.json"))
    with pytest.raises(InputError, match=r"rows\.json:2: a number \(3\) instead of a row"):
        load(tmp_path, FLASHRAG, 3, name="rows.json")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("bamboogle_test.flashrag.jsonl", 125),
        ("bamboogle_test.verl.jsonl", 125),
        ("hotpotqa_dev_0000-0199.verl.parquet", 200),
        ("2wikimultihopqa_dev_0000-0199.verl.parquet", 200),
        ("hotpotqa_train100.json", 100),
        ("musique_train100.json", 100),
    ],
)
def test_published_files(shared, name, count):
    tasks = load_tasks("multihop_qa", path=str(shared / "data/multihop_qa" / name))
    assert len(tasks) == count and all(task.question and task.answer for task in tasks)
