"""The corpus of tools=search: what a file holds, and its index."""

import gzip
import json

import pytest

from mentor.errors import InputError
from mentor.tools.host.corpus import Corpus, Passage, default_cache, read_passages
from tests.unit.tools.host.builders import write_corpus


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_corpus(tmp_path)


def test_the_index_of_a_corpus_is_built_once(corpus, tmp_path):
    Corpus(corpus).search("Madison")
    (folder,) = (tmp_path / "cache" / "mentor").iterdir()
    made = folder.stat().st_mtime_ns
    assert [p.title for p in Corpus(corpus).search("Madison")] == ["Madison"]
    assert [f.stat().st_mtime_ns for f in (tmp_path / "cache" / "mentor").iterdir()] == [made]
    corpus.write_text(corpus.read_text().replace("Madison", "Monroe"))
    assert Corpus(corpus).search("Madison") == [] and Corpus(corpus).search("Monroe")[0].title == "Monroe"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no rows"),
        ('{"title": "a"}\n', r"corpus.jsonl:1: title is a string .* text is null"),
        ('{"title": 1, "text": "a"}\n', r"corpus.jsonl:1: title is a number"),
    ],
)
def test_a_corpus_that_is_none_is_named(corpus, text, message):
    corpus.write_text(text)
    with pytest.raises(InputError, match=message):
        Corpus(corpus)


def test_a_question_finds_a_supporting_passage_among_the_first_five(shared, tmp_path):
    folder = shared / "data" / "multihop_qa"
    corpus = Corpus(folder / "hotpotqa_train100_corpus.json", cache=tmp_path)
    assert len(corpus.passages) == 994
    questions = json.loads((folder / "hotpotqa_train100.json").read_text())
    supporting = [{title for title, _ in question["supporting_facts"]} for question in questions]
    found = [{passage.title for passage in corpus.search(question["question"], 5)} for question in questions]
    assert sum(bool(right & titles) for right, titles in zip(supporting, found, strict=True)) >= 95


def test_one_json_object_of_titles_or_a_list_of_rows_is_a_corpus_plain_or_gzip(tmp_path):
    passages = [Passage("A", "One. Two."), Passage("B", "Three.")]
    (tmp_path / "a.json").write_text(json.dumps({"A": [" One.", "Two. "], "B": "Three."}))
    rows = [{"title": "A", "text": "One. Two."}, {"title": "B", "contents": "Three."}]
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    assert [list(read_passages(tmp_path / name)) for name in ("a.json", "b.json.gz")] == [passages] * 2
    for text, message in [("{", "not JSON"), ("3", r"is a number \(3\), accepted"), ("[3]", r"a\.json:1: a number")]:
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(InputError, match=message):
            list(read_passages(tmp_path / "a.json"))


def test_what_is_shown_of_a_search(corpus, tmp_path):
    found = Corpus(corpus, top_k=2, cache=tmp_path)
    assert found.answer("Madison") == "[1] Madison\nJames Madison was president from 1809 to 1817."
    assert found.answer("zebra") == found.answer("") == "nothing found"
    assert default_cache() == tmp_path / "cache" / "mentor"
