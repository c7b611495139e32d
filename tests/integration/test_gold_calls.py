"""RL on rows whose gold is calls: a tiny student learns to make them, and does not where the gold is another row's."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

ITEMS = ("rope", "cord", "lamp", "nail", "hook", "tape", "bolt", "fuse")
SITES = ("lund", "oslo", "bergen", "turku")
Call = dict[str, Any]


def schema(name: str, description: str, *parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": "string"} for parameter in parameters}
    listed = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"name": name, "description": description, "parameters": listed}


TOOLS = [schema("stock", "Pieces in a warehouse.", "item", "site"), schema("price", "Price of an item.", "item")]


def asked(rng: random.Random) -> tuple[str, Call]:
    item, site = rng.choice(ITEMS), rng.choice(SITES)
    if rng.random() < 0.45:
        return f"How many {item} in {site}?", {"name": "stock", "arguments": {"item": item, "site": site}}
    return f"What does {item} cost?", {"name": "price", "arguments": {"item": item}}


def as_xlam(question: str, call: Call) -> dict[str, Any]:
    return {"query": question, "tools": json.dumps(TOOLS), "answers": json.dumps([call])}


def as_toolrl(question: str, call: Call) -> dict[str, Any]:
    said = json.dumps({"name": call["name"], "parameters": call["arguments"]})
    prompt = [{"role": "user", "content": f"**Dialogue Records History**\n<user> {question} </user>\n"}]
    truth = f"<think> x </think>\n<tool_call>\n{said}\n</tool_call>"
    return {"prompt": prompt, "tools": TOOLS, "reward_model": {"style": "rule", "ground_truth": truth}}


def mentor(folder: Path, *words: str) -> None:
    command = [sys.executable, "-m", "mentor.cli", *words, "logger.backends=[]"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows of both shapes, and a student that makes about a quarter of the calls (`outputs/xlam`)."""
    folder = tmp_path_factory.mktemp("gold")
    rng = random.Random(0)
    pairs = [asked(rng) for _ in range(200)]
    others = [call for _, call in pairs]
    rng.shuffle(others)
    shuffled = [(question, call) for (question, _), call in zip(pairs, others, strict=True)]
    for name, rows in (
        ("xlam", [as_xlam(*pair) for pair in pairs]),
        ("toolrl", [as_toolrl(*pair) for pair in pairs]),
        ("shuffled", [as_xlam(*pair) for pair in shuffled]),
    ):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        mentor(
            folder,
            "stage=rollout",
            "task=calls",
            f"task.path={name}.jsonl",
            "teacher=annotated",
            "tools=row",
            f"run={name}",
        )
    shape = ("model.hidden_size=96", "model.intermediate_size=256", "model.num_hidden_layers=3")
    mentor(
        folder,
        "stage=pretrain",
        "model=tiny",
        *shape,
        "stage.schema_share=1.0",
        "stage.conversations=1200",
        "trainer.steps=150",
        "run=xlam",
    )
    mentor(folder, "stage=sft", "trainer.steps=84", "trainer.learning_rate=1e-3", "run=xlam")
    return folder


def rewards(folder: Path, rows: str, seed: int) -> list[float]:
    """The mean reward of each of 20 steps on the rows of one file."""
    budget = ("trainer.steps=20", "trainer.prompts_per_step=32", "trainer.group_size=8", "trainer.minibatches=4")
    rate = ("trainer.learning_rate=3e-4", "trainer.schedule=constant")
    limits = ("sampler.max_turn_tokens=64", "sampler.max_tokens=512")
    start = f"init={folder / 'outputs/xlam/sft-s0/model'}"
    mentor(
        folder, "stage=rl", "reward=sparse", "tools=row", start, *budget, *rate, *limits, f"seed={seed}", f"run={rows}"
    )
    lines = (folder / f"outputs/{rows}/rl-sparse-s{seed}/metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["reward/mean"] for line in lines]


@pytest.mark.proof
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("rows", ["xlam", "toolrl", "shuffled"])
def test_twenty_steps_on_gold_calls(base: Path, rows: str, seed: int):
    by_step = rewards(base, rows, seed)
    first, last = fmean(by_step[:5]), fmean(by_step[-5:])
    print(f"{rows}, seed {seed}: {first:.3f} -> {last:.3f}", [round(value, 2) for value in by_step])
    if rows == "shuffled":
        assert last < 0.15
    else:
        assert last - first > 0.1
