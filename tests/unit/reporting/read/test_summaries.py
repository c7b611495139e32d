"""The summary of a folder, and what is said of a folder without one."""

import math
from pathlib import Path

from mentor.reporting.read.summaries import finite, look_for, stage_summary
from tests.fixtures.run_folder import write_json


def test_absent_and_unfinished_summaries_are_missing(tmp_path: Path) -> None:
    for name, summary in {"done": {"status": "done"}, "going": {"status": "running"}, "odd": {}}.items():
        write_json(tmp_path / name / "summary.json", summary)
    (tmp_path / "none").mkdir()
    missing: list[str] = []
    found = [stage_summary(tmp_path / name, tmp_path, missing) for name in ("done", "going", "odd", "none")]
    assert found == [{"status": "done"}, {"status": "running"}, {}, None]
    assert missing == [
        "going: the stage is not done (status: running)",
        "odd: the stage is not done (status: unknown)",
        "none/summary.json: the stage wrote no summary",
    ]


def test_a_file_of_trajectories_that_is_not_there_is_missing(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("")
    missing: list[str] = []
    look_for(tmp_path / "here", tmp_path, missing)
    look_for(tmp_path / "a" / "there", tmp_path, missing)
    assert missing == ["a/there: no trajectories to look at"]


def test_what_json_cannot_hold_is_none_at_any_depth() -> None:
    value = {"a": [math.nan, 1.5, {"b": math.inf}], "c": "nan", "d": True}
    assert finite(value) == {"a": [None, 1.5, {"b": None}], "c": "nan", "d": True}
