"""Every script in scripts/ runs to its report, on rows made here and budgets of a few steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mentor.cli import main
from mentor.conf_dir import conf_dir

SCRIPTS = conf_dir().parent / "scripts"
QUIET = ["debug=default"]

pytestmark = [pytest.mark.slow, pytest.mark.proof]


def run_script(name: str, *arguments: str, cwd: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([SCRIPTS / name, *arguments], cwd=cwd, env={**os.environ, "PATH": path}, check=True)


def make_rows(path: Path, first: int, count: int) -> Path:
    rows = []
    for n in range(first, first + count):
        pens, total = n * 3, n * 3 + 2
        answer = f"<<{n}*3={pens}>>{pens} in boxes, <<{pens}+2={total}>>{total} in all.\n#### {total}"
        rows.append({"question": f"Ann has {n} boxes of 3 pens and finds 2. How many pens has she?", "answer": answer})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def results(folder: Path) -> dict:
    return json.loads((folder / "report" / "results.json").read_text())


def test_gsm8k(tmp_path: Path):
    train, test = make_rows(tmp_path / "train.jsonl", 2, 12), make_rows(tmp_path / "test.jsonl", 40, 4)
    run_script("gsm8k.sh", str(train), str(test), "mine", "1", *QUIET, cwd=tmp_path)
    run = tmp_path / "outputs" / "mine"
    assert {row["model"] for row in results(run)["results"]} == {"pretrain-s0", "sft-s0", "rl-flexible-s0"}


def test_compare_rewards_on_a_run_with_a_base_and_a_teacher_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert main(["stage=pretrain", *QUIET, "run=mine"]) == 0 and main(["stage=rollout", *QUIET, "run=mine"]) == 0
    run_script("compare_rewards.sh", "mine", "1", *QUIET, cwd=tmp_path)
    models = {row["model"] for row in results(tmp_path / "outputs" / "mine")["results"]}
    assert models == {"pretrain-s0", "rl-sparse-s1", "rl-strict-s1", "rl-flexible-s1"}


def test_resume_is_proven_over_three_kills(tmp_path: Path):
    """Deterministic rl, killed at random points, ends bit for bit as unbroken; `make prove-resume` kills ten times."""
    only = ["--record-kills", "0", "--rank-kills", "0"]
    run_script("prove_resume.py", "--kills", "3", *only, "--folder", "new", cwd=tmp_path)
