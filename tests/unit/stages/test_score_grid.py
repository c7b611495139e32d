"""`stage.grid`: rows replayed beside their scores, and groups that cannot be compared."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mentor.chat.messages import make_call
from mentor.config import Config, JudgeConfig, RewardConfig, ScoreStage
from mentor.errors import InputError
from mentor.loggers.console import Console
from mentor.loggers.logger import Logger
from mentor.rewards import load_preset
from mentor.runs.folder import RunFolder
from mentor.stages import StageResult
from mentor.stages.score import run
from mentor.types import ToolCall
from tests.fixtures.judge_server import JudgeServer, judge_keys, write_rubric
from tests.unit.rewards.builders import HONEST, make_trajectory
from tests.unit.stages.test_score import HONEST_ROW, own, write


def replayed(folder: Path, source: Path, grid: object, overwrite: bool = False) -> tuple[StageResult, dict]:
    stage = ScoreStage("score", str(source), str(folder / "scores.jsonl"), ["flexible"], grid=grid)
    result = run(Config(stage=stage, overwrite=overwrite), RunFolder(folder, folder, False), Logger(Console(False)))
    return result, json.loads((folder / "scores.grid.json").read_text())


def test_a_grid_is_replayed_beside_the_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = [make_trajectory(calls=HONEST), make_trajectory(), make_trajectory("none", calls=HONEST)]
    records = [{"step": 3, **member.to_dict(), "group_id": "g"} for member in members]
    unknown = [{**make_trajectory(teacher=None).to_dict(), "group_id": "u"}] * 2
    source = write(tmp_path / "t.jsonl", [*records, HONEST_ROW, *unknown])
    result, record = replayed(tmp_path, source, {"weights.tool": [0.3, 0.25, 0], "weights.valid": [0.1]})
    assert (record["trajectories"], record["groups"], record["groups_left_out"]) == (3, 1, 2)
    assert record["base"]["values"] == {"weights.tool": 0.3, "weights.valid": 0.1}
    assert [point["reward_mean"] for point in record["points"]] == pytest.approx([1.6 / 3, 1.55 / 3, 1.3 / 3])
    assert record["clusters"] == [[0, 1], [2]]
    assert record["tolerance"] == {"cosine": 0.99, "flips": 0.01} and "nothing of what training" in record["note"]
    assert result.counts["grid"] == {"points": 3, "distinguishable": 2}
    assert "3 points, 2 distinguishable:" in capsys.readouterr().err
    assert len((tmp_path / "scores.jsonl").read_text().splitlines()) == 6
    (tmp_path / "scores.jsonl").unlink()
    with pytest.raises(InputError, match="scores.grid.json exists already"):
        replayed(tmp_path, source, {"weights.tool": [0]})
    assert len(replayed(tmp_path, source, {"weights.tool": [0]}, overwrite=True)[1]["points"]) == 1


def test_groups_whose_results_are_not_known_are_left_out_where_a_point_compares_them(tmp_path: Path) -> None:
    members = [{**make_trajectory(calls=HONEST).to_dict(), "group_id": "g"}] * 2
    asked = {"role": "assistant", "content": "", "tool_calls": [make_call("multiply", {"a": 8, "b": 9})]}
    tools = asked, {"role": "tool", "content": "72"}
    made = make_trajectory(calls=HONEST[:1])
    made.messages[1:1] = tools
    made = replace(made, task=replace(made.task, reference=(ToolCall("add", {"a": 1}, "72"),)))
    known = [{**made.to_dict(), "group_id": "k"}] * 2
    source = write(tmp_path / "t.jsonl", [*members, *known])
    _, record = replayed(tmp_path, source, {"matcher": ["bag_f1"]})
    assert (record["groups"], record["groups_left_out"]) == (2, 0)
    _, record = replayed(tmp_path, source, {"matcher": ["bag_f1", "results"]}, overwrite=True)
    assert (record["groups"], record["groups_left_out"]) == (1, 1)
    # of one call each: another name, the same result
    assert [point["reward_mean"] for point in record["points"]] == pytest.approx([0.6 + 0.1, 1.0])


def test_a_grid_over_rows_without_groups_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [HONEST_ROW] * 3)
    with pytest.raises(InputError, match="no group of several trajectories"):
        replayed(tmp_path, source, {"weights.tool": [0]})
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_the_weight_of_a_term_of_the_users_own_is_replayed(tmp_path: Path) -> None:
    members = [make_trajectory(calls=HONEST), make_trajectory(calls=HONEST[:1])]  # in `brief` 1/3 and 1/2
    source = write(tmp_path / "t.jsonl", [{**member.to_dict(), "group_id": "g"} for member in members])
    grid = {"terms.own.weight": [0, 0.6], "weights.tool": [0.3]}
    stage = ScoreStage("score", str(source), str(tmp_path / "scores.jsonl"), ["own"], grid=grid, grid_base="own")
    run(Config(stage=stage, **own(tmp_path, "brief")), RunFolder(tmp_path, tmp_path, False), Logger(Console(False)))
    record = json.loads((tmp_path / "scores.grid.json").read_text())
    assert record["base"]["values"] == {"terms.own.weight": 0.1, "weights.tool": 0.3} and record["preset"] == "own"
    assert [point["reward_mean"] for point in record["points"]] == pytest.approx([1.85 / 2, 2.35 / 2])


def test_a_judge_is_asked_once_for_scores_and_grid_and_not_by_the_next_command(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    members = [make_trajectory(calls=HONEST), make_trajectory(r"\boxed{71}", calls=HONEST)]
    source = write(tmp_path / "t.jsonl", [{**member.to_dict(), "group_id": "g"} for member in members])
    tone = {"tone": {"term": f"judge:{write_rubric(tmp_path)}", "weight": 0.5}}
    terms = {**load_preset("flexible")["terms"], **tone}
    grid = {"terms.tone.weight": [0, 1]}
    stage = ScoreStage("score", str(source), str(tmp_path / "scores.jsonl"), ["own"], grid=grid, grid_base="own")
    with JudgeServer() as server:
        keys = {"reward": RewardConfig("flexible", terms=terms), "judge": JudgeConfig(**judge_keys(server))}
        for _ in range(2):
            config = Config(stage=stage, name="own", overwrite=True, **keys)
            result = run(config, RunFolder(tmp_path, tmp_path, False), Logger(Console(False)))
        assert len(server.bodies) == 2 and result.counts["judge"]["replayed"] == 4
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [row["rewards"]["own"] for row in rows] == pytest.approx([1.5, 0.06 + 0.125])
    points = json.loads((tmp_path / "scores.grid.json").read_text())["points"]
    assert [point["reward_mean"] for point in points] == pytest.approx([1.06 / 2, (1.06 + 1.25) / 2])
