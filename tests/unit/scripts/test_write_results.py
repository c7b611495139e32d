"""Results over seeds: numbers worked out by hand, what is said to differ, and texts that are checked without runs."""

import json
from pathlib import Path

import pytest

from mentor.evaluation.statistics import wilson_interval
from mentor.reporting import collect
from scripts import write_results
from scripts.write_results import Results, Row, compare_runs, main, page, read_runs, seen, with_body
from tests.fixtures.run_folder import make_row, write_eval, write_json, write_lines, write_stage

README = f"# Mine\n\n{write_results.START}\n{write_results.END}\n\nThe rest.\n"
EVERY, HALF, NO = "1" * 20, "1" * 10 + "0" * 10, "0" * 20


def write_run(root: Path, seed: int, right: dict[str, str], split: str = "long") -> Path:
    """A run of one seed with its report. right: by method, for each question whether its answer is right."""
    folder = root / f"seed={seed}"
    write_stage(folder, "rollout", "rollout", headline={"name": "rollout/verified_share", "value": 1.0})
    for method, verdicts in right.items():
        model = f"{method}-s{seed}"
        write_stage(folder, model, method.split("-")[0], f"pretrain-s{seed}", seed=seed, git_commit="abc")
        tokens = {"rollout/tokens": 700} if method.startswith("rl") else {}
        write_lines(folder / model / "metrics.jsonl", [{"step": n, **tokens, "tokens/trained": 100} for n in (1, 2)])
        accuracy, n = verdicts.count("1") / len(verdicts), len(verdicts)
        low, high = wilson_interval(accuracy * n, n)
        evaluated = write_eval(folder, model, make_row(accuracy, low, high, split=split, n=n))
        write_lines(evaluated / "items.jsonl", [item(i, split, mark == "1") for i, mark in enumerate(verdicts)])
    write_json(folder / "report" / "results.json", collect(folder, "t").to_dict())
    return folder


def item(number: int, split: str, correct: bool) -> dict:
    task = {"id": f"t{number}", "question": f"q{number}", "split": split}
    return {"task": task, "mode": "sampled", "correct": correct, "tokens": None}


def condense(folders: list[Path]) -> Results:
    return compare_runs(sorted(read_runs(folders), key=lambda run: run.seed))


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """SFT and RL are each right on all questions in one seed and on half of them in the other; the base never is."""
    first = {"pretrain": NO, "sft": EVERY, "rl-sparse": HALF}
    second = {"pretrain": NO, "sft": HALF, "rl-sparse": EVERY}
    return [write_run(tmp_path, 0, first), write_run(tmp_path, 1, second)]


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty docs/ and a README with the markers alone."""
    for name, path in (("STORED", "results.json"), ("PAGE", "results.md"), ("README", "README.md")):
        monkeypatch.setattr(write_results, name, tmp_path / path)
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def test_means_seeds_and_p_values_worked_out_by_hand(runs: list[Path]) -> None:
    found = condense(runs[::-1])  # in the order of the seeds, whatever that of the folders
    assert found.seeds == [0, 1] and found.verified_share == 1.0
    assert [(row.method, row.accuracies, row.mean) for row in found.rows] == [
        ("pretrain", [0.0, 0.0], 0.0),
        ("sft", [1.0, 0.5], 0.75),
        ("rl-sparse", [0.5, 1.0], 0.75),
    ]
    tests = {(test.first, test.second): test for test in found.tests}
    assert list(tests) == [("sft", "pretrain"), ("rl-sparse", "pretrain"), ("rl-sparse", "sft")]
    # SFT is ahead of the base by 1 and by 1/2. In t the mean 3/4 is 3 standard errors of 1/4, on one degree of freedom:
    # p = 1 - 2 atan(3) / pi = 0.2048; the questions, which differ in one seed alone, add a little.
    ahead = tests["sft", "pretrain"]
    assert ahead.by_seed == [1.0, 0.5] and ahead.difference == 0.75 and ahead.over_seeds
    assert ahead.p == pytest.approx(0.2048, abs=0.001)
    assert ahead.p_here_holm == pytest.approx(3 / 2**19), "20 questions all have the same sign, and three are compared"
    assert ahead.conclusion == "better here"
    # Seed by seed SFT and RL are half of the questions apart, once the one way and once the other.
    equal = tests["rl-sparse", "sft"]
    assert (equal.by_seed, equal.difference, equal.conclusion) == ([-0.5, 0.5], 0.0, "not significant")
    assert equal.p == pytest.approx(1.0)
    cost = {entry.method: entry for entry in found.costs}
    assert cost["rl-sparse"].sampled_tokens == [1400, 1400] and cost["rl-sparse"].trained_tokens == [200, 200]
    assert cost["sft"].sampled_tokens == [None, None] and cost["sft"].steps == [2, 2]


def test_what_is_said_to_differ_and_what_is_not(runs: list[Path]) -> None:
    assert seen(condense(runs), "calculator/long", "sampled") == (
        "`long` (in domain, sampled): SFT 75.0, RL `sparse` 75.0, base 0.0 %. In these models, SFT is "
        "better than base; RL `sparse` is better than base; other seeds may differ. "
        "In 1 of 3 comparisons no difference was seen."
    )


def test_what_is_the_same_in_every_seed_differs_over_seeds(tmp_path: Path) -> None:
    right = {"pretrain": NO, "sft": HALF, "rl-sparse": EVERY}
    said = seen(condense([write_run(tmp_path, seed, right) for seed in (0, 1)]), "calculator/long", "sampled")
    assert said.endswith("%. Over seeds, RL `sparse` is better than base and SFT; SFT is better than base.")


def test_seeds_that_disagree_are_no_difference_though_the_questions_are_significant(tmp_path: Path) -> None:
    one_right = "0" * 19 + "1"
    runs = [
        write_run(tmp_path, 0, {"pretrain": NO, "rl-sparse": EVERY}),
        write_run(tmp_path, 1, {"pretrain": one_right, "rl-sparse": NO}),
    ]
    found = condense(runs)
    [test] = found.tests
    assert test.p_here_holm < 0.05 and (test.by_seed, test.conclusion) == ([1.0, -0.05], "not significant")
    assert seen(found, "calculator/long", "sampled").endswith("%. No difference between any two of them was seen.")


def test_equal_methods_are_no_difference_and_one_seed_is_of_these_models(tmp_path: Path) -> None:
    right = {"pretrain": NO, "sft": EVERY}
    alone = condense([write_run(tmp_path / "a", 3, right)])
    said = "%. In these models, SFT is better than base; other seeds may differ."
    assert not alone.tests[0].over_seeds and seen(alone, "calculator/long", "sampled").endswith(said)
    same = condense([write_run(tmp_path / "b", seed, {"sft": HALF, "rl-strict": HALF}) for seed in (0, 1)])
    assert seen(same, "calculator/long", "sampled").endswith("%. No difference between any two of them was seen.")


def test_texts_are_made_from_the_stored_numbers_alone(
    runs: list[Path], texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == 0  # no numbers yet, and none in the README
    assert main([]) == 2 and "results.json is missing" in capsys.readouterr().err
    assert main([str(run) for run in runs]) == 0
    written = {name: (texts / name).read_text() for name in ("results.md", "README.md")}
    assert "| SFT | 75.0 [0.0, 100.0] (100.0, 50.0) |" in written["results.md"]
    assert "| SFT − base | long | +75.0 [" in written["results.md"]
    assert "Training seeds 0 and 1, with 20 questions of each split." in written["results.md"]
    assert "Interval and p are about other seeds and other questions" in written["results.md"]
    assert "| RL `sparse` | 2 / 2 | 1,400 / 1,400 | 200 / 200 |" in written["results.md"]
    assert "| base | 2 / 2 | – | 200 / 200 |" in written["results.md"]
    assert written["README.md"].startswith("# Mine\n") and written["README.md"].endswith("\n\nThe rest.\n")
    assert "| RL `sparse` | 75.0 [0.0, 100.0] |" in written["README.md"]
    verdict = "In domain (long, sampled), in points against RL `sparse`: over seeds none, in these models only base"
    assert all(verdict in text and "Run on 1970-01-02. Code: " in text for text in written.values())

    assert main(["--check"]) == 0
    for name, text in written.items():
        (texts / name).write_text(text.replace("75.0", "76.0"))
        assert main(["--check"]) == 1
        assert f"{name} is not up to date" in capsys.readouterr().err
        assert main([]) == 0 and (texts / name).read_text() == text
    (texts / "results.json").unlink()
    assert main(["--check"]) == 1  # figures without their numbers


def test_a_seed_is_added_to_those_that_are_stored(
    tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = {"pretrain": NO, "sft": HALF, "rl-sparse": EVERY}
    runs = [str(write_run(tmp_path, seed, right)) for seed in (0, 1, 2)]
    assert main(runs) == 0
    names = ("results.json", "results.md", "README.md")
    together = [(texts / name).read_text() for name in names]
    assert main(runs[2:]) == 0 and "Training seeds 2, with" in (texts / "results.md").read_text()
    assert main(["--add", runs[1], runs[0]]) == 0
    assert [(texts / name).read_text() for name in names] == together
    others = write_run(tmp_path, 3, {method: verdicts[:10] for method, verdicts in right.items()})
    assert main(["--add", str(others)]) == 2
    assert "seed 3: pretrain-s3 has other questions of calculator/long" in capsys.readouterr().err
    assert [(texts / name).read_text() for name in names] == together


def test_splits_in_domain_come_first_and_domains_are_named() -> None:
    rows = [
        Row("sft", "x/a", "ood", "sampled", 4, [0.5], 0.5, (0.1, 0.9)),
        Row("sft", "y/b", "id", "sampled", 4, [0.25], 0.25, (0.0, 0.7)),
    ]
    results = Results([0], ["2026-01-02"], [], None, rows, [], [], [], [])
    assert (
        "| method | y/b (in domain) | x/a (out of domain) |\n| --- | --- | --- |\n| SFT | 25.0 [0.0, 70.0] (25.0) "
        "| 50.0 [10.0, 90.0] (50.0) |" in (page(results))
    )
    body = with_body(README, results)
    assert "| SFT | 25.0 [0.0, 70.0] | 50.0 [10.0, 90.0] |" in body and "Run on 2026-01-02." in body
    assert with_body(body, None) == README


def test_runs_that_cannot_be_used(tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = {"pretrain": NO, "sft": EVERY}
    first = write_run(tmp_path, 0, right)
    again = write_run(tmp_path / "again", 0, right)
    less = write_run(tmp_path, 1, {"pretrain": NO})
    bare = tmp_path / "bare"
    stale = write_run(tmp_path, 2, right)
    values = json.loads((stale / "report" / "results.json").read_text())
    values["results"][0]["accuracy"] = 0.123
    write_json(stale / "report" / "results.json", values)
    unread = write_run(tmp_path, 3, right)
    (unread / "eval" / "sft-s3" / "calculator" / "items.jsonl").unlink()
    foreign = write_run(tmp_path, 4, {"other": NO})
    for folders, message in (
        ([first, again], "both hold seed 0"),
        ([first, less], "calculator/long sampled has no result of sft-s1"),
        ([bare], "report/results.json is missing: run `mentor stage=report` first"),
        ([stale], "does not agree with the evaluations"),
        ([unread], "lacks items.jsonl of sft-s3/calculator"),
        ([foreign], "has models other-s4; accepted: pretrain, sft and rl of one seed"),
    ):
        assert main([str(folder) for folder in folders]) == 2
        assert message in capsys.readouterr().err
    assert not (texts / "results.json").exists()
    (texts / "README.md").write_text("# No markers\n")
    assert main([str(first)]) == 2 and "README.md has no lines" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--check", str(first)])


def test_the_texts_of_the_project_are_up_to_date() -> None:
    assert main(["--check"]) == 0, "run python scripts/write_results.py"
