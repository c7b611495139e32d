"""`stage=report` on a run folder: what it writes, and what it says when there is nothing to report."""

import json
from pathlib import Path

import pytest

from mentor.config import Config, LoggerConfig, ReportStage
from mentor.errors import RunFolderError
from mentor.loggers import build_logger
from mentor.runs.folder import RunFolder
from mentor.stages.report import run
from tests.fixtures.run_folder import evaluation_record, make_row, make_trajectory, write_eval, write_lines

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
        "figures": 1,
        "files": 4,
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
    assert [path.name for path in (folder.path / "figures").iterdir()] == ["accuracy-id-greedy.png"]


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
