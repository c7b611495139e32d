"""`stage=report` on a run folder: what it writes, and what it says when there is nothing to report."""

import json
from pathlib import Path

import pytest

from mentor.config import Config, LoggerConfig, ReportStage
from mentor.errors import RunFolderError
from mentor.evaluation.results import summarise
from mentor.loggers import build_logger
from mentor.runs.folder import RunFolder
from mentor.stages.report import run
from mentor.types import Task
from tests.fixtures.run_folder import evaluation_record, make_row, make_trajectory, write_eval, write_json, write_lines

QUIET = LoggerConfig(console=False, wandb="disabled")
CONFIG = Config(stage=ReportStage(name="report", title="A <b>title</b>"))


def test_a_run_without_evaluation_names_the_stage_to_run(tmp_path: Path) -> None:
    folder = RunFolder(path=tmp_path / "report", root=tmp_path)
    with pytest.raises(RunFolderError, match="run `mentor stage=eval` first"):
        run(CONFIG, folder, build_logger(QUIET, None))
    assert not folder.path.exists()


def test_report_of_one_evaluation(tmp_path: Path) -> None:
    row = {"split": "test", "domain": "id", "mode": "greedy", "n": 50, "accuracy": 0.5, "low": 0.37, "high": 0.63}
    done = {"stage": "eval", "status": "done", "model": "m", "benchmark": "gsm8k", "results": [row]}
    summary = tmp_path / "eval" / "m" / "gsm8k" / "summary.json"
    summary.parent.mkdir(parents=True)
    summary.write_text(json.dumps(done))
    folder = RunFolder(path=tmp_path / "report", root=tmp_path)
    result = run(CONFIG, folder, build_logger(QUIET, None))
    assert result.counts == {
        "models": 1,
        "results": 1,
        "figures": 2,
        "files": 5,
        "trajectories": {"found": 0, "shown": 0},
        "missing": 3,
    }
    assert "A &lt;b&gt;title&lt;/b&gt;" in (folder.path / "report.html").read_text()
    results = json.loads((folder.path / "results.json").read_text())
    assert results["missing"] == [
        "eval/m/gsm8k/items.jsonl: no trajectories to look at",
        "eval/m/gsm8k: no calls per tool (evaluated by an earlier version)",
        "eval: no result has a similarity to the teacher's tool use, so none is drawn",
    ]
    assert {path.name for path in (folder.path / "figures").iterdir()} == {"summary.png", "accuracy-id-greedy.png"}


def test_the_number_of_trajectories_is_a_setting(tmp_path: Path) -> None:
    evaluated = write_eval(tmp_path, "m", make_row(0.5, 0.4, 0.6))
    write_lines(evaluated / "items.jsonl", [evaluation_record(make_trajectory(f"t{n}")) for n in range(5)])
    folder = RunFolder(path=tmp_path / "report", root=tmp_path)
    for limit, shown, said in ((0, 0, "0 of 5 trajectories shown"), (3, 3, "3 of 5 "), (9, 5, "All 5 stored")):
        config = Config(stage=ReportStage(name="report", trajectories=limit))
        result = run(config, folder, build_logger(QUIET, None))
        assert result.counts["trajectories"] == {"found": 5, "shown": shown}
        page = (folder.path / "report.html").read_text()
        assert said in page and ('id="trajectories-data"' in page) == bool(shown)


def test_models_with_none_and_with_all_of_the_answers_right(tmp_path: Path) -> None:
    sizes = (30, 100, 164, 300, 1319)
    for n in sizes:
        for model, right in (("none", False), ("all", True)):
            item = evaluation_record(make_trajectory(), correct=right)
            tasks = [Task(f"t{place}", "q", ("5",), "calculator", "test").to_dict() for place in range(n)]
            items = [item | {"task": task} for task in tasks]
            folder = tmp_path / "eval" / model / f"of{n}"
            write_lines(folder / "items.jsonl", items)
            done = {"stage": "eval", "status": "done", "model": model, "benchmark": f"of{n}"}
            write_json(folder / "summary.json", done | {"results": summarise(items, {"test": "id"})})
    folder = RunFolder(path=tmp_path / "report", root=tmp_path)
    result = run(Config(stage=ReportStage(name="report", trajectories=0)), folder, build_logger(QUIET, None))
    assert result.counts["results"] == 2 * len(sizes) and (folder.path / "figures/accuracy-id-sampled.png").is_file()
    results = json.loads((folder.path / "results.json").read_text())
    for row in results["results"] + results["methods"]:
        assert (row["low"] == 0.0 < row["high"]) if row["accuracy"] == 0 else (row["low"] < row["high"] == 1.0)
    conclusions = {pair["benchmark"]: (pair["first"], pair["conclusion"]) for pair in results["pairs"]}
    assert conclusions == {f"of{n}": ("none", "worse here") for n in sizes}
    page = (folder.path / "report.html").read_text()
    assert "0.0 [0.0, 11.4]" in page and "100.0 [99.7, 100.0]" in page, "Wilson: z^2 / (n + z^2) of 30 and of 1,319"
