import json
import subprocess
import sys
from pathlib import Path

import pytest

from mentor.evaluation.statistics import wilson_interval
from scripts import make_demo


def test_the_files_are_those_that_were_made() -> None:
    assert make_demo.different(make_demo.DEMO) == []


def test_a_changed_a_missing_and_a_further_file_are_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    text = "".join(f"{digest}  {name}\n" for name, digest in make_demo.sums(tmp_path).items())
    assert text.startswith("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a\n")
    (tmp_path / make_demo.SUMS).write_text(text)
    assert make_demo.different(tmp_path) == []
    (tmp_path / "a").write_text("other")
    (tmp_path / "b").unlink()
    (tmp_path / "d").write_text("d")
    assert make_demo.different(tmp_path) == ["docs/demo/a: changed", "docs/demo/b: missing", "docs/demo/d: not listed"]


@pytest.mark.proof
def test_a_base_that_is_made_anew_behaves_the_same(tmp_path: Path) -> None:
    """Its pass rate lies in the interval of the one that comes with the repository."""
    make_demo.make_base(tmp_path / "base", tmp_path / "outputs")
    stored = passes(make_demo.DEMO / "base", tmp_path / "stored")
    anew = passes(tmp_path / "base", tmp_path / "anew")
    low, high = wilson_interval(stored, 1000)
    assert low <= anew / 1000 <= high


def passes(model: Path, outputs: Path) -> int:
    """Count right answers to 1,000 questions, sampled."""
    words = ["stage=eval", f"model.path={model}", "benchmark=[calculator]", "stage.greedy=false"]
    subprocess.run([sys.executable, "-m", "mentor.cli", *words, f"paths.outputs={outputs}"], check=True)
    stored = outputs.glob("*/eval/*/calculator/items.jsonl")
    rows = [json.loads(line) for path in stored for line in path.read_text().splitlines()]
    assert len(rows) == 1000
    return sum(row["correct"] for row in rows)
