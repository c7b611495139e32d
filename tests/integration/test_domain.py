"""docs/domain.md, as its reader types it: six commands from a tools.py and JSONL to a report."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mentor.conf_dir import conf_dir
from mentor.evaluation.paired import paired_test
from tests.integration.test_docs import code_lines

DOCS = conf_dir().parent / "docs"
COMMANDS = [
    shlex.split(line)[1:]
    for line in code_lines(DOCS / "domain.md")
    if line.startswith("mentor ") and "shuffled" not in line
]
SMALL = {
    "pretrain": ["trainer.steps=120"],
    "sft": ["trainer.steps=120"],
    "rl": ["trainer.steps=2", "trainer.prompts_per_step=8"],
    "eval": ["stage.limit=24"],
}
"""What a stage takes beside the page's words, to end in seconds."""


@pytest.fixture
def depot(tmp_path: Path) -> Path:
    """The page's folder, with its questions written."""
    folder = tmp_path / "depot"
    shutil.copytree(DOCS / "domain", folder, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "questions.py"], cwd=folder, check=True, timeout=60)
    return folder


def run(folder: Path, *arguments: str) -> str:
    """Run `mentor` in a folder; a failure shows what it said."""
    command = [sys.executable, "-m", "mentor.cli", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def stages() -> Iterator[tuple[str, list[str]]]:
    for command in COMMANDS:
        yield next(word for word in command if word.startswith("stage=")).removeprefix("stage="), command


def verdicts(folder: Path, run_name: str, model: str, benchmark: str) -> list[bool]:
    lines = (folder / "outputs" / run_name / "eval" / model / benchmark / "items.jsonl").read_text().splitlines()
    return [json.loads(line)["correct"] for line in sorted(lines, key=lambda line: json.loads(line)["task"]["id"])]


def test_the_files_are_three_sets_apart(depot: Path):
    rows = {
        name: [json.loads(line) for line in (depot / f"{name}.jsonl").read_text().splitlines()]
        for name in ("train", "held_out", "outside")
    }
    assert {name: len(of) for name, of in rows.items()} == {"train": 300, "held_out": 200, "outside": 200}
    asked = [row["question"] for of in rows.values() for row in of]
    assert len(set(asked)) == 700
    chains = {name: {tuple(call["name"] for call in row["reference"]) for row in of} for name, of in rows.items()}
    assert chains["held_out"] == chains["train"]
    assert len(chains["outside"] - chains["train"]) == 3
    assert len({name for chain in chains["train"] for name in chain}) == 7


@pytest.mark.slow
def test_six_commands_lead_to_a_report(depot: Path):
    assert len(COMMANDS) <= 6
    for stage, command in stages():
        run(depot, *command, *SMALL.get(stage, []))
    report = (depot / "outputs/depot/report/report.md").read_text()
    assert "jsonl/test" in report and "outside/test" in report
    assert len(verdicts(depot, "depot", "rl-flexible_f1-s0", "jsonl")) == 24


@pytest.mark.proof
@pytest.mark.parametrize("seed", [0, 1])
def test_the_students_learn_and_what_the_tools_return_is_what_they_learn_to_use(depot: Path, seed: int):
    """The page at its full size, and its control: the same SFT on the same conversations with the results shuffled."""
    for stage, command in stages():
        run(depot, *command, *([f"seed={seed}"] if stage != "report" else []))  # a report is of all seeds
    control = [shlex.split(line) for line in code_lines(DOCS / "domain.md") if "shuffled" in line]
    assert [line[0] for line in control] == ["python", "mentor", "mentor", "mentor"]
    subprocess.run([sys.executable, *control[0][1:]], cwd=depot, check=True, timeout=60)
    base = f"model.path=outputs/depot/pretrain-s{seed}/model"
    for line in control[1:]:
        words = [base if word.startswith("model.path=") else word for word in line[1:]]
        run(depot, *words, f"seed={seed}")

    gains = {model: gain(depot, "depot", model, seed) for model in ("sft", "rl-flexible_f1")}
    shuffled = gain(depot, "shuffled", "sft", seed)
    print(f"seed {seed}: {gains}, shuffled {shuffled}")
    assert all(low > 0.1 for low, _ in gains.values())
    assert shuffled[1] < 0.1


def gain(folder: Path, run_name: str, model: str, seed: int) -> tuple[float, float]:
    """The interval of how much more of the held-out questions a student gets right than the base it was made from."""
    before = verdicts(folder, "depot", f"pretrain-s{seed}", "jsonl")
    after = verdicts(folder, run_name, f"{model}-s{seed}", "jsonl")
    assert len(before) == len(after) == 200
    found = paired_test([np.array([after], float)], [np.array([before], float)], matched=True)
    return found.interval(found.here)
