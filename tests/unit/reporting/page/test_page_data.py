"""Chosen trajectories as the JSON of the page: what is in it, what it shares, and how much of it."""

import json
from pathlib import Path

import pytest

from mentor.reporting.page.page_data import embed, runs, script_json, verdict
from mentor.reporting.read.tokenizer_files import tokenizer_of
from mentor.reporting.read.trajectories import gather
from tests.fixtures.run_folder import (
    make_trajectory,
    training_record,
    write_lines,
)


def embedded(root: Path, budget: int = 10**6) -> dict:
    text = embed(gather(root, 10), tokenizer_of, budget).json
    assert text is not None and "<" not in text
    return json.loads(text)


def test_entries_hold_what_the_page_shows(run: Path) -> None:
    data = embedded(run)
    first, second, item = data["entries"]
    assert (first["source"], first["group"], first["mode"]) == ("rl-a-s0, training", "step 5", "sampled")
    assert (first["verdict"], first["stop"], first["answers"]) == ("correct", "answered", ["5"])
    assert first["reward"]["parts"] == {"correct": 0.6, "match": 0.15, "valid": 0.05}
    assert (first["reward"]["total"], first["reward"]["advantage"], first["reward"]["group_kind"]) == (
        0.8,
        0.25,
        "mixed",
    )
    assert first["reward"]["advantage_parts"] == {"correct": 0.2, "match": 0.03, "valid": 0.02}
    assert first["reward"]["turn_advantages"] == [0.25, 0.1]
    assert second["question"] == "</script><!-- {{ x }}"
    assert (item["source"], item["group"], item["verdict"]) == ("m, evaluation", "calc/test", "ungraded")
    assert item["reward"] is None


def test_the_teacher_is_the_stored_one_of_the_same_question(run: Path) -> None:
    data = embedded(run)
    first, second, item = data["entries"]
    assert first["teacher"] == "stored" and data["teachers"]["t0"][1]["text"] == "The answer is \\boxed{5}."
    assert [turn["calls"][0]["name"] for turn in second["teacher"]] == ["add"], "only its calls are known"
    assert item["teacher"] != "stored", "the same id, but another question"


def test_tokens_share_the_start_of_the_prompt(run: Path, chat) -> None:
    path = run / "rl-a-s0/trajectories/trajectories.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records[1]["distilled"] = [-0.5, 0.25]
    records[1]["tokens"] |= {"token_ids": [1, 2, 9, 4], "starts": [0, 2]}
    write_lines(path, records)
    shared, entries = (embedded(run)[key] for key in ("shared", "entries"))
    source = shared["sources"]["rl-a-s0, training"]
    assert source == {"tokenizer": 0, "prefix": [1, 2]}
    assert [entry["tokens"] for entry in entries[:2]] == [
        {"ids": [3, 4], "runs": [1, 2, 1], "starts": [], "distilled": None},
        {"ids": [9, 4], "runs": [1, 2, 1], "starts": [2], "distilled": [-0.5, 0.25]},
    ]
    assert shared["tokenizers"] == [{str(n): chat.tokenizer.decode([n]) for n in (1, 2, 3, 4, 9)}]
    assert shared["sources"]["m, evaluation"]["tokenizer"] is None, "no tokenizer.json: the page shows ids"


def test_no_more_than_fits_is_embedded(tmp_path: Path) -> None:
    records = [training_record(make_trajectory(f"t{n}"), step=1 + n // 50) for n in range(200)]
    write_lines(tmp_path / "rl-a-s0/trajectories/trajectories.jsonl", records)
    write_lines(tmp_path / "rollout/trajectories.jsonl", [make_trajectory(f"t{n}").to_dict() for n in range(200)])
    gathered = gather(tmp_path, 100)
    everything = embed(gathered, tokenizer_of, 10**7)
    assert (everything.shown, everything.asked, everything.found) == (100, 100, 200)
    size = len(everything.json.encode())
    assert embed(gathered, tokenizer_of, size + 2).shown == 100, "a comma after the last of two lists is counted too"
    for budget in (size - 1, size // 2, 2_000):
        cut = embed(gathered, tokenizer_of, budget)
        assert 0 < cut.shown < 100 and budget - 3_000 < len(cut.json.encode()) <= budget
        groups = [entry["group"] for entry in json.loads(cut.json)["entries"]]
        counts = [groups.count(f"step {step}") for step in (1, 2, 3, 4)]
        assert max(counts) - min(counts) <= 1, "still spread"
    assert embed(gathered, tokenizer_of, 100).json is None


def test_verdicts() -> None:
    def trained(total: float | None, correct: float | None) -> str:
        return verdict({"reward": {"total": total, "terms": {"correct": correct}}, "correct": True})

    assert [trained(0.8, 1.0), trained(0.2, 0.0), trained(None, None)] == ["correct", "wrong", "ungraded"]
    assert trained(-2.0, None) == "wrong", "a total given without a look at the answer"
    assert [verdict({"correct": value}) for value in (True, False, None)] == ["correct", "wrong", "ungraded"]


def test_runs_begin_with_context() -> None:
    assert runs([False, False, True, False]) == [2, 1, 1]
    assert runs([True, True]) == [0, 2] and runs([]) == [0]


def test_json_in_a_script_element_reads_back_whole() -> None:
    hostile = "</script><script>alert(1)</script><!-- \u2028 \ud800 \U0001f600 \x00 &lt;"
    text = script_json({hostile: hostile})
    assert "<" not in text and json.loads(text.encode()) == {hostile: hostile}
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json(float("nan"))
