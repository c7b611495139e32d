"""A data set in the Hub's layout, folders of shards, and names on the Hub."""

import json

import pytest

from mentor.errors import InputError
from mentor.rows import is_hub_name, source_rows
from mentor.rows.row_sources import fills_nulls
from mentor.tasks import load_tasks

datasets = pytest.importorskip("datasets")
pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

README = """---
configs:
- config_name: main
  default: true
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
- config_name: hard
  data_files:
  - split: test
    path: hard/*.parquet
---
# A data set
"""


def shard(path, *questions):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"info": {"question": q, "level": None}, "gold": {"target": [q.upper()]}} for q in questions]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


@pytest.fixture
def hub(tmp_path):
    """A folder as `git clone` of a data set leaves it."""
    folder = tmp_path / "set"
    shard(folder / "data/train-00000-of-00002.parquet", "a", "b")
    shard(folder / "data/train-00001-of-00002.parquet", "c")
    shard(folder / "data/test-00000-of-00001.parquet", "d")
    shard(folder / "hard/part.parquet", "e")
    (folder / "README.md").write_text(README)
    return folder


def test_splits_and_subsets_of_a_data_set_in_the_hubs_layout(hub):
    columns = {"question": "info.question", "answer": "gold"}
    tasks = load_tasks("jsonl", str(hub), splits=["test", "train"], columns=columns)
    assert [(t.split, t.question, t.answer) for t in tasks] == [
        ("test", "d", ("D",)),
        *[("train", q, (q.upper(),)) for q in "abc"],
    ]
    assert [task.id for task in tasks[1:]] == ["set-000000", "set-000001", "set-000002"]
    (hard,) = load_tasks("jsonl", str(hub), split="test", subset="hard", columns=columns)
    assert hard.question == "e"


def test_a_split_or_subset_that_is_not_there_names_those_that_are(hub, tmp_path):
    with pytest.raises(InputError, match=r"task.path=.*set: no split 'dev'; accepted: train, test$"):
        load_tasks("jsonl", str(hub), split="dev")
    with pytest.raises(InputError, match=r"BuilderConfig 'easy' not found. Available: \['main', 'hard'\]"):
        load_tasks("jsonl", str(hub), subset="easy")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="a folder without files of rows"):
        load_tasks("jsonl", str(tmp_path / "none"))
    (tmp_path / "f.jsonl").write_text("{}")
    with pytest.raises(InputError, match="a file has no subset 'main'"):
        load_tasks("jsonl", str(tmp_path / "f.jsonl"), subset="main")


def test_shards_without_a_readme_are_one_split_and_places_name_the_shard(tmp_path):
    for number in range(2):
        (tmp_path / f"part-{number}.jsonl").write_text(
            json.dumps({"question": f"q{number}", "answer": number}) + "\n[]\n"
        )
    bad = []
    rows = list(source_rows(str(tmp_path), "train", None, "task.path", bad.append))
    assert [(place.rpartition("/")[2], row["answer"]) for place, row in rows] == [
        ("part-0.jsonl:1", 0),
        ("part-1.jsonl:1", 1),
    ]
    assert [str(error).rpartition("/")[2].partition(" (")[0] for error in bad] == [
        "part-0.jsonl:2: a list",
        "part-1.jsonl:2: a list",
    ]


def test_what_datasets_saved_to_disk(tmp_path):
    made = datasets.Dataset.from_list([{"question": "a", "answer": "1"}])
    made.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": made, "dev": made}).save_to_disk(tmp_path / "two")
    assert [task.answer for task in load_tasks("jsonl", str(tmp_path / "one"))] == [("1",)]
    assert [task.split for task in load_tasks("jsonl", str(tmp_path / "two"), split="dev")] == ["dev"]
    with pytest.raises(InputError, match="no split 'test'; accepted: train, dev"):
        load_tasks("jsonl", str(tmp_path / "two"), split="test")


def test_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    for name in ("gsm8k", "jsonl"):
        with pytest.raises(
            InputError, match="task.path=nobody/no-such-set: neither a local file nor readable from the hub"
        ):
            load_tasks(name, path="nobody/no-such-set")


def test_what_is_a_hub_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openai").mkdir()
    (tmp_path / "openai" / "here").touch()
    names = ["openai/gsm8k", "openai/here", "data/train.jsonl", "data/rows.csv", "/data/gsm8k", "gsm8k"]
    assert [is_hub_name(name) for name in names] == [True, False, False, False, False, False]


def test_which_rows_have_nulls_under_the_keys_of_others():
    places = ["a/b.parquet:3", "a/b.arrow:1", "owner/name:1", "a/b.jsonl:3", "b.csv:2"]
    assert [fills_nulls(place) for place in places] == [True, True, True, False, False]
