"""Search questions end to end: tasks, `search` over a corpus, the environment, the grader and the table row.

The student is an oracle: it searches for the question and says the gold answer where a supporting passage came back.
"""

import json
from pathlib import Path

from mentor.config import EvalStage, SamplerConfig
from mentor.environment import Environment, RolloutLimits
from mentor.evaluation.graders import QaGrader
from mentor.evaluation.results import summarise
from mentor.sampling.scripted_sampler import ScriptedSampler
from mentor.stages.benchmark_items import judged, requests
from mentor.tasks import load_tasks
from mentor.tools import Toolbox, Toolset
from mentor.tools.host.corpus import Corpus
from mentor.types import Task

LIMITS = RolloutLimits(max_turns=3, max_turn_tokens=600, max_tokens=60_000)


def search_call(question: str) -> str:
    call = {"name": "search", "arguments": {"query": question, "top_k": 5}}
    return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


def roll_out(chat, tasks: list[Task], corpus: Path, answers: list[str], **stage) -> list[dict]:
    """Items of a greedy evaluation in which the student searches, then answers."""
    wanted = requests(tasks, EvalStage("eval", samples=0, **stage), SamplerConfig("transformers"), seed=0)
    turns = [[search_call(request.task.question), answer] for request, answer in zip(wanted, answers, strict=True)]
    script = {str(i): [chat.encode(turn + chat.eos_token) for turn in own] for i, own in enumerate(turns)}
    sampler = ScriptedSampler(script, chat.end_ids)
    with Environment(sampler, Toolbox(Toolset.search(corpus)), chat, LIMITS) as environment:
        done = environment.rollout(wanted)
    return [judged(trajectory, request, QaGrader()) for trajectory, request in zip(done, wanted, strict=True)]


def write_corpus(folder: Path) -> Path:
    passages = {"Lima": "Lima is the capital of Peru.", "Peru": "It is a country in South America.", "Tea": "A drink."}
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps({"title": key, "text": text}) + "\n" for key, text in passages.items()))
    return path


def test_an_oracle_searches_answers_and_is_scored(chat, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = [
        {"id": "a", "question": "What is the capital of Peru?", "golden_answers": ["Lima"]},
        {"id": "b", "question": "Where is Peru?", "golden_answers": ["South America"]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = load_tasks("multihop_qa", path=str(tmp_path / "rows.jsonl"), split="test")
    first, second = items = roll_out(chat, tasks, write_corpus(tmp_path), [r"\boxed{Lima}", "in America"])
    found = [message["content"] for message in first["messages"] if message["role"] == "tool"]
    assert found[0].startswith("[1] Lima\nLima is the capital of Peru.") and first["calls"][0]["ok"]
    assert first["correct"] is True and first["scores"] == {"em": 1.0, "f1": 1.0}
    assert second["correct"] is False and second["scores"] == {"em": 0.0, "f1": 0.5}
    (row,) = summarise(items, {"test": "id:hotpotqa"}, "musique")
    assert (row["domain"], row["domain_of"], row["accuracy"]) == ("ood", "musique", 0.5)
    assert row["scores"] == {"em": 0.5, "f1": 0.75} and row["calls_per_answer"] == 1.0


def test_without_tools_the_prompt_offers_none_and_a_call_finds_none(chat, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    task = Task("a", "What is the capital of Peru?", ("Lima",), "", "test")
    answers = [r"\boxed{Lima}"] * 2
    offered, bare = items = roll_out(chat, [task], write_corpus(tmp_path), answers, with_tools=[True, False])
    assert offered["with_tools"] is True and json.loads(offered["tools"])[0]["function"]["name"] == "search"
    assert bare["with_tools"] is False and json.loads(bare["tools"]) == [] and bare["isolation"] is None
    prompts = [chat.decode(item["tokens"]["token_ids"][: item["tokens"]["loss_mask"].index(1)]) for item in items]
    assert "search" in prompts[0] and "search" not in prompts[1] and "tool" not in prompts[1]
    assert bare["calls"][0]["error"] == "unknown_tool" and offered["calls"][0]["ok"] is True
    assert [row["with_tools"] for row in summarise(items, {"test": "unknown"})] == [True, False]


def test_an_oracle_over_the_passages_of_hotpotqa(chat, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = shared / "data" / "multihop_qa"
    path, questions = folder / "hotpotqa_train100_corpus.json", folder / "hotpotqa_train100.json"
    support = {row["_id"]: {title for title, _ in row["supporting_facts"]} for row in json.loads(questions.read_text())}
    tasks = load_tasks("multihop_qa", path=str(questions), split="test")
    corpus = Corpus(path, cache=tmp_path / "own")
    found = {task.id: {entry.title for entry in corpus.search(task.question, 5)} & support[task.id] for task in tasks}
    assert sum(map(bool, found.values())) >= 80
    answers = [rf"\boxed{{{task.answer[0]}}}" if found[task.id] else "I do not know." for task in tasks[:25]]
    items = roll_out(chat, tasks[:25], path, answers)
    assert all(item["calls"][0]["ok"] and item["stop_reason"] == "answered" for item in items)
    assert [item["scores"]["em"] for item in items] == [float(bool(found[task.id])) for task in tasks[:25]]
