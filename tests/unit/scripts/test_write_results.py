"""Results of experiments: numbers worked out by hand, texts that are checked without runs, and real run folders."""

import json
from pathlib import Path

import pytest

from mentor.evaluation.statistics import wilson_interval
from scripts import write_results
from scripts.results.comparison import Comparison, compare_configurations
from scripts.results.stored import load, read_run
from scripts.write_results import main
from tests.fixtures.run_folder import make_row, write_eval, write_json, write_lines, write_stage

README = f"# Mine\n\n{write_results.START}\n{write_results.END}\n\nThe rest.\n"
EVERY, HALF, NO = "1" * 20, "1" * 10 + "0" * 10, "0" * 20
WORSE = {"rl-sparse": HALF, "rl-results": NO}
BETTER = {"rl-sparse": HALF, "rl-results": EVERY}


def write_point(folder: Path, seed: int, right: dict[str, str], split: str = "long", domain: str = "id") -> None:
    """One seed, with the base of all seeds. right: by method, for each question whether its answer is right, or `-`
    where it has no verdict."""
    write_stage(
        folder, "rollout", "rollout", git_commit="abc", headline={"name": "rollout/verified_share", "value": 1.0}
    )
    for method, verdicts in right.items():
        model = f"{method}-s{0 if method == 'pretrain' else seed}"
        counts = {"base": None if method == "pretrain" else "pretrain-s0", "teacher_tokens": 50}
        write_stage(folder, model, method.split("-")[0], seed=seed, git_commit="abc", counts=counts)
        tokens = {"rollout/tokens": 700 + seed} if method.startswith("rl") else {}
        write_lines(folder / model / "metrics.jsonl", [{"step": n, **tokens, "tokens/trained": 100} for n in (1, 2)])
        graded = len(verdicts) - verdicts.count("-")
        low, high = wilson_interval(verdicts.count("1"), graded)
        accuracy = verdicts.count("1") / graded
        row = make_row(accuracy, low, high, split=split, domain=domain, n=len(verdicts))
        items = [item(i, split, mark) for i, mark in enumerate(verdicts)]
        write_lines(write_eval(folder, model, row) / "items.jsonl", items)


def item(number: int, split: str, mark: str) -> dict:
    task = {"id": f"t{number}", "question": f"q{number}", "split": split}
    return {"task": task, "mode": "sampled", "correct": None if mark == "-" else mark == "1", "tokens": None}


def write_run(folder: Path, points: list[dict[str, str]], model: str = "tiny_shy") -> Path:
    """A run whose sweep has one point for each seed."""
    write_json(folder / "rollout" / "config.yaml", {"stage": {"name": "rollout"}, "model": {"name": model}})
    rows = []
    for seed, right in enumerate(points):
        write_point(folder / "sweeps" / "a" / f"seed={seed}", seed, right)
        rows.append(manifest_row(f"seed={seed}", {"seed": seed}))
    write_lines(folder / "sweeps" / "a" / "manifest.jsonl", rows)
    return folder


def manifest_row(point: str, overrides: dict) -> dict:
    return {"hash": point, "point": point, "overrides": overrides, "status": "done"}


def compared(folder: Path) -> Comparison:
    return compare_configurations(read_run(folder))


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty docs/results/ and a README with the markers alone."""
    root = tmp_path / "project"
    (root / "docs" / "results").mkdir(parents=True)
    (root / "README.md").write_text(README)
    for name, path in (("STORED", "docs/results"), ("INDEX", "docs/results.md"), ("README", "README.md")):
        monkeypatch.setattr(write_results, name, root / path)
    return root


def texts_of(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.suffix in (".md", ".json")]
    return {path.relative_to(root).as_posix(): path.read_text() for path in files}


def test_means_seeds_and_p_values_worked_out_by_hand(tmp_path: Path) -> None:
    """SFT and RL are each right on all questions in one seed and on half of them in the other; the base never is."""
    first, second = {"sft": EVERY, "rl-sparse": HALF}, {"sft": HALF, "rl-sparse": EVERY}
    found = compared(write_run(tmp_path / "run", [{"pretrain": NO, **first}, {"pretrain": NO, **second}]))
    assert [(m.method, m.seeds, m.by_seed, m.accuracy) for m in found.methods] == [
        ("pretrain", [0], [0.0], 0.0),
        ("sft", [0, 1], [1.0, 0.5], 0.75),
        ("rl-sparse", [0, 1], [0.5, 1.0], 0.75),
    ]
    pairs = {(pair.first, pair.second): pair for pair in found.pairs}
    assert list(pairs) == [("sft", "pretrain"), ("rl-sparse", "pretrain"), ("rl-sparse", "sft")]
    # SFT is ahead of the base of both seeds by 1 and by 1/2. In t the mean 3/4 is 3 standard errors of 1/4, on one
    # degree of freedom: p = 1 - 2 atan(3) / pi = 0.2048; the questions, which differ in one seed alone, add a little.
    ahead = pairs["sft", "pretrain"]
    assert ahead.by_seed == [1.0, 0.5] and ahead.difference == 0.75 and ahead.over_seeds
    assert ahead.p == pytest.approx(0.2048, abs=0.001) and ahead.conclusion == "better here"
    assert ahead.p_here_holm == pytest.approx(3 / 2**19), "20 questions all have the same sign, and three are compared"
    # Seed by seed SFT and RL are half of the questions apart, once the one way and once the other.
    equal = pairs["rl-sparse", "sft"]
    assert (equal.by_seed, equal.difference, equal.conclusion) == ([-0.5, 0.5], 0.0, "not significant")


def test_the_texts_are_made_from_what_is_stored(
    tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == 0  # nothing stored, and nothing in the README
    assert main([]) == 2 and "holds no results.json" in capsys.readouterr().err
    run = write_run(tmp_path / "shy", [{"pretrain": NO, "sft": EVERY, **WORSE}, {"pretrain": NO, "sft": HALF, **WORSE}])
    assert main(["paper_tiny_small", str(run)]) == 0
    written = texts_of(texts)
    page, readme = written["docs/results/paper_tiny_small/README.md"], written["README.md"]
    command = "`mentor -m experiment=paper_tiny_small model=tiny_shy,tiny_unskilled seed=0,1,2`"
    verdict = "In domain (long, sampled), over seeds base is 50.0 and RL `results` 50.0 points below RL `sparse`; SFT"
    for text in (page, readme, written["docs/results.md"]):
        assert command in text and verdict in text and "Run on 1970-01-02. Code: abc. Machine: " in text
    assert "Training seeds 0 and 1, with 20 questions of each split." in page
    assert "| tiny_shy | shy | 0.0 | 1970-01-02 |" in page and "| torch 2.13.0 |" in page
    assert "| RL `results` | −50.0 [−" in page and "] ▼ |" in page
    assert "| SFT | 75.0 [0.0, 100.0] |" in page and "| SFT | 100.0, 50.0 |" in page
    assert "| RL `sparse` | 2 | 1,400 / 1,402 | 200 | 50 |" in page and "| base | 2 | – | 200 | 50 |" in page
    assert "The teacher solved 100.0 % of its tasks." in page
    assert "| rl-sparse-s1 | hash-rl-sparse-s1 | 1 | abc |" in page
    assert "| RL `sparse` − SFT | long | −25.0 [" in page, "the reference, though not significant"
    assert (
        readme.startswith("# Mine\n") and readme.endswith("\n\nThe rest.\n") and "| SFT | 75.0 [0.0, 100.0] |" in readme
    )
    assert (
        "[Where a teacher's guidance helps, in small](results/paper_tiny_small/README.md)" in written["docs/results.md"]
    )

    assert main(["--check"]) == 0
    for name in ("docs/results/paper_tiny_small/README.md", "docs/results.md", "README.md"):
        (texts / name).write_text(written[name].replace("50.0", "60.0"))
        assert main(["--check"]) == 1 and f"{name} is not up to date" in capsys.readouterr().err
        assert main([]) == 0 and texts_of(texts) == written
    (texts / "docs/results/paper_tiny_small/results.json").unlink()
    assert main(["--check"]) == 1  # figures without their numbers


def test_bases_are_columns_of_a_map_and_added_to_those_that_are_stored(tmp_path: Path, texts: Path) -> None:
    shy = write_run(tmp_path / "shy", [{"pretrain": NO, **BETTER}] * 2)
    able = write_run(tmp_path / "able", [{"pretrain": EVERY, **WORSE}] * 2, "tiny_capable")
    assert main(["paper_tiny", str(shy), str(able)]) == 0
    together = texts_of(texts)
    page = together["docs/results/paper_tiny/README.md"]
    assert page.count("| method | tiny_shy | tiny_capable |") == 2, "the gain, and the accuracy"
    [gain] = [line for line in page.splitlines() if line.startswith("| RL `results` | +50.0 [")]
    assert "▲ | −50.0 [" in gain and gain.endswith("▼ |")
    picture = texts / "docs/results/paper_tiny/map-id.png"
    assert "](map-id.png)" in page and "](docs/results/paper_tiny/map-id.png)" in together["README.md"]
    picture.unlink()
    assert main(["--check"]) == 1 and main([]) == 0 and picture.is_file()
    assert "| RL `results` | 100.0 [83.9, 100.0] | 0.0 [0.0, 16.1] |" in together["README.md"]
    assert "sampled), with tiny_shy, over seeds RL `results` is 50.0 points above" in page
    assert ". With tiny_capable, over seeds base is 50.0 points above RL `sparse`, and RL `results` is 50.0" in page
    assert "<details><summary>tiny_capable: 3 of 3 comparisons</summary>" in page

    assert main(["paper_tiny", str(shy)]) == 0 and "tiny_capable" not in texts_of(texts)["README.md"]
    assert main(["--add", "paper_tiny", str(able)]) == 0 and texts_of(texts) == together
    assert main(["--add", "paper_tiny", str(shy)]) == 0 and texts_of(texts) == together, "in the place of the old one"


def test_a_sweep_over_models_holds_several_bases(tmp_path: Path, texts: Path) -> None:
    folder, rows = tmp_path / "run", []
    for model, right in (("tiny_shy", BETTER), ("tiny_unskilled", WORSE)):
        for seed in (0, 1):
            point = f"model={model},seed={seed}"
            write_point(folder / "sweeps" / "a" / point, seed, {"pretrain": NO, **right}, domain="ood")
            rows.append(manifest_row(point, {"model": model, "seed": seed}))
    write_lines(folder / "sweeps" / "a" / "manifest.jsonl", rows)
    first, second = read_run(folder)
    assert (first.name, second.name) == ("tiny_shy", "tiny_unskilled")
    assert {row.model for row in first.results} == {f"rl-{r}-s{s}" for r in ("sparse", "results") for s in (0, 1)} | {
        "pretrain-s0"
    }
    assert main(["mine", str(folder)]) == 0
    page = (texts / "docs/results/mine/README.md").read_text()
    assert page.startswith("# mine\n") and "## Gain out of domain, sampled" in page
    assert "| method | tiny_shy | tiny_unskilled |" in page


def test_experiments_stand_in_a_fixed_order_and_the_readme_has_the_first(tmp_path: Path, texts: Path) -> None:
    run = str(write_run(tmp_path / "run", [{"pretrain": NO, **BETTER}]))
    (texts / "docs/results/distillation").mkdir()
    (texts / "docs/results/distillation/report.md").write_text("# A report\n")
    for name in ("a_new_one", "rare_success", "paper_tiny"):
        assert main([name, run]) == 0
    index = (texts / "docs/results.md").read_text()
    links = ["paper_tiny/README.md", "rare_success/README.md", "distillation/report.md", "a_new_one/README.md"]
    assert sorted(links, key=index.index) == links
    readme = (texts / "README.md").read_text()
    assert "experiment=paper_tiny " in readme and "rare_success" not in readme


def test_scores_are_stored_as_they_are(tmp_path: Path, texts: Path) -> None:
    """Right, wrong and without a verdict as one character; shares of several answers as numbers."""
    folder = write_run(tmp_path / "run", [{"pretrain": "10-1", "sft": "0110"}])
    items = folder / "sweeps/a/seed=0/eval/sft-s0/calculator/items.jsonl"
    write_lines(items, [item(i, "long", mark) for i, mark in enumerate("0110")] + [item(0, "long", "1")])
    assert main(["mine", str(folder)]) == 0
    stored = texts / "docs/results/mine/results.json"
    rows = {row["model"]: row["scores"] for row in json.loads(stored.read_text())["configurations"][0]["results"]}
    assert rows == {"pretrain-s0": "101-", "sft-s0": [0.5, 1.0, 0.0, 1.0]}, "the third has no verdict at first"
    [read], [again] = read_run(folder), load(stored)
    assert again.scores == read.scores and len(again.scores["pretrain-s0", "calculator", "long", "sampled"]) == 3


def test_what_is_linked_does_not_count_in_the_size_of_a_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [{"pretrain": NO}])
    (folder / "weights").write_bytes(b"0" * 2_000_000)
    before = read_run(folder)[0].megabytes
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "weights").write_bytes(b"0" * 9_000_000)
    (folder / "sweeps/a/seed=0/link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert read_run(folder)[0].megabytes == before == 2.0


def test_runs_that_cannot_be_used(tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = {"pretrain": NO, "sft": EVERY}
    first = write_run(tmp_path / "first", [right])
    again = write_run(tmp_path / "again", [right])
    (tmp_path / "bare").mkdir()
    unread = write_run(tmp_path / "unread", [right])
    (unread / "sweeps/a/seed=0/eval/sft-s0/calculator/items.jsonl").unlink()
    less = write_run(tmp_path / "less", [right, right])
    row = make_row(1.0, 0.8, 1.0, split="test", n=20)
    for model in ("pretrain-s0", "sft-s0"):
        place = write_eval(less / "sweeps/a/seed=0", model, make_row(1.0, 0.8, 1.0, split="long", n=20), row)
        write_lines(place / "items.jsonl", [item(i, split, "1") for i in range(20) for split in ("long", "test")])
    nameless = write_run(tmp_path / "nameless", [right])
    (nameless / "rollout" / "config.yaml").unlink()
    other = write_run(tmp_path / "other", [{"pretrain": "0" * 25}], "other")
    for folders, message in (
        ([first, again], "both hold tiny_shy; give one run for each base"),
        ([tmp_path / "bare"], "holds no evaluation"),
        ([unread], "lacks items.jsonl of sft-s0/calculator"),
        ([less], "calculator/test sampled has no result of sft-s1"),
        ([nameless], "has no stage whose config.yaml has model.name"),
        ([first, other], "tiny_shy: pretrain-s0 was asked 20 of the 25 questions of calculator/long"),
    ):
        assert main(["mine", *map(str, folders)]) == 2
        assert message in capsys.readouterr().err
    assert not (texts / "docs/results/mine").exists()
    (texts / "README.md").write_text("# No markers\n")
    assert main(["mine", str(first)]) == 2 and "README.md has no lines" in capsys.readouterr().err
    for arguments in (["--check", "mine", str(first)], ["mine"]):
        with pytest.raises(SystemExit):
            main(arguments)


def test_the_texts_of_the_project_are_up_to_date() -> None:
    assert main(["--check"]) == 0, "run python scripts/write_results.py"
