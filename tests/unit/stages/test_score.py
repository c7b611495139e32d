import gzip
import json
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from mentor.checks import check
from mentor.config import Config, RewardConfig, ScoreStage, TaskConfig
from mentor.errors import ConfigError, GraderError, InputError
from mentor.loggers.console import Console
from mentor.loggers.logger import Logger
from mentor.rewards import load_preset
from mentor.runs.folder import RunFolder
from mentor.stages import StageResult
from mentor.stages.score import run
from mentor.types import Trajectory
from tests.fixtures.own_rewards import write_rewards
from tests.unit.rewards.builders import HONEST, make_trajectory, raw_row, tool_call

TURNS = [(tool_call("divide"), ["24"]), (tool_call("add"), ["72"])]


HONEST_ROW = raw_row(TURNS, r"\boxed{72}", id="honest")


def write(path: Path, records: list[dict]) -> Path:
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def score(
    folder: Path, source: Path, presets: list[str], overwrite: bool = False, answer_format: str = "boxed"
) -> tuple[StageResult, list[dict]]:
    stage = ScoreStage("score", str(source), str(folder / "scores.jsonl"), presets, workers=2)
    config = Config(stage=stage, overwrite=overwrite, task=TaskConfig(answer_format=answer_format))
    result = run(config, RunFolder(folder, folder, False), Logger(Console(False)))
    return result, [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]


def test_raw_rows_and_stored_trajectories_are_read_in_the_answer_format(tmp_path: Path) -> None:
    hashes = replace(make_trajectory(text="#### 72").task, answer_format="hashes")
    rows = [
        raw_row(TURNS, "9 and 4 are 13.\n#### 72"),
        raw_row(TURNS, "#### 71"),
        HONEST_ROW,
        make_trajectory(text="#### 72").to_dict(),
        {**make_trajectory(text="#### 72").to_dict(), "task": hashes.to_dict()},
    ]
    source = write(tmp_path / "rows.jsonl", rows)
    for form, rewards in (("boxed", [0, 0, 1, 0, 1]), ("hashes", [1, 0, 0, 1, 1])):
        _, scores = score(tmp_path, source, ["sparse"], overwrite=True, answer_format=form)
        assert [row["rewards"]["sparse"] for row in scores] == rewards


def test_the_cases_with_hashes(tmp_path: Path, shared: Path) -> None:
    _, scores = score(tmp_path, shared / "cases" / "k12_hashes.jsonl", ["sparse"], answer_format="hashes")
    assert {row["id"]: row["rewards"]["sparse"] for row in scores} == {"hash-right": 1.0, "hash-wrong": 0.0}


def test_raw_rows_in_order(tmp_path: Path) -> None:
    rows = [HONEST_ROW, raw_row(TURNS[:1], r"\boxed{71}", id=7), raw_row([], r"\boxed{72}", id="x", teacher_tools=None)]
    source = write(tmp_path / "rows.jsonl.gz", rows)
    result, scores = score(tmp_path, source, ["sparse", "released_mentor", "results", "flexible"])
    assert [row["id"] for row in scores] == ["honest", 7, "x"]
    assert [row["rewards"]["sparse"] for row in scores] == [1.0, 0.0, 1.0]
    assert [row["rewards"]["released_mentor"] for row in scores] == pytest.approx([1.1, 0.1, 0.1])
    assert scores[1]["rewards"]["flexible"] == pytest.approx(0.3 * 0.2 / 2)
    assert scores[1]["terms"]["flexible"] == {"correct": 0.0, "match": 0.5, "valid": 1.0}
    assert scores[2]["rewards"]["flexible"] is None  # the teacher is not known
    assert [row["rewards"]["results"] for row in scores] == [None] * 3  # nor are the results of any
    assert result.headline == ("reward/flexible", pytest.approx((1.0 + 0.03) / 2))
    assert result.counts == {
        "rows": 3,
        "without_total": {"sparse": 0, "released_mentor": 0, "flexible": 1, "results": 3},
    }
    assert not list(tmp_path.glob(".*"))


def test_stored_trajectories_score_as_in_training(tmp_path: Path) -> None:
    trajectories: list[Trajectory] = [
        make_trajectory(calls=HONEST),
        make_trajectory("none", calls=HONEST),
        make_trajectory(),
    ]
    records = [{"step": 3, **trajectory.to_dict(), "group_id": "g"} for trajectory in trajectories]
    _, scores = score(
        tmp_path, write(tmp_path / "t.jsonl", [records[0], HONEST_ROW, *records[1:]]), ["flexible", "strict"]
    )
    assert [row["id"] for row in scores] == ["t0", "honest", "t0", "t0"]
    assert [row["rewards"]["flexible"] for row in scores] == pytest.approx([1.0, 1.0, 0.0, 0.6])


def test_trajectories_are_scored_without_the_tool_schemas_that_they_refer_to(tmp_path: Path) -> None:
    members = [make_trajectory(calls=HONEST), make_trajectory("none", calls=HONEST)]
    records = [{**member.to_dict(), "tools": "sha256:0123456789ab"} for member in members]
    _, scores = score(tmp_path, write(tmp_path / "t.jsonl", records), ["flexible"])
    assert [row["rewards"]["flexible"] for row in scores] == [1.0, 0.0]


def test_groups_that_are_mixed_up_in_the_file_score_like_those_that_are_not(tmp_path: Path) -> None:
    members = [make_trajectory(calls=HONEST), make_trajectory("none", calls=HONEST), make_trajectory()]
    records = [
        {"id": f"{group}-{place}", "step": 1, **member.to_dict(), "group_id": group}
        for group in "abc"
        for place, member in enumerate(members if group != "b" else members[1:2] * 3)
    ]
    gated = ["flexible", "strict"]
    _, in_order = score(tmp_path, write(tmp_path / "t.jsonl", records), gated)
    mixed = [records[place] for place in (0, 3, 6, 1, 4, 7, 8, 5, 2)]  # a: 0-2, b: 3-5, c: 6-8
    _, scores = score(tmp_path, write(tmp_path / "t.jsonl", mixed), gated, overwrite=True)
    assert [row["id"] for row in scores] == ["a-0", "b-0", "c-0", "a-1", "b-1", "c-1", "c-2", "b-2", "a-2"]
    assert sorted(scores, key=lambda row: row["id"]) == in_order
    assert [row["rewards"]["flexible"] for row in in_order] == pytest.approx([1, 0, 0.6, 0, 0, 0, 1, 0, 0.6])


def test_a_bad_row_far_down_leaves_the_older_output_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "scores.jsonl").write_text("kept")
    source = write(tmp_path / "rows.jsonl", [*[HONEST_ROW] * 300, {**HONEST_ROW, "tools": 5}, HONEST_ROW])
    with pytest.raises(InputError, match=r"rows.jsonl:301: tools=5, accepted: a list of tool schemas"):
        score(tmp_path, source, ["sparse"], overwrite=True)
    assert (tmp_path / "scores.jsonl").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl", "scores.jsonl"}


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    member = {**make_trajectory(calls=HONEST).to_dict(), "response": "x" * 20_000, "step": 0}

    def peak(rows: int) -> int:
        records = [{**member, "group_id": f"g{row // 4}"} for row in range(rows)]
        source = write(tmp_path / "t.jsonl", records)
        del records
        tracemalloc.start()
        score(tmp_path, source, ["flexible"], overwrite=True)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(4)  # what is imported and cached
    assert peak(1_200) < peak(200) + 2_000_000  # of 20 MB more


def test_golden_rows(shared: Path, tmp_path: Path) -> None:
    source = shared / "golden" / "rewards.jsonl"
    variants = {"released_partial": "partial_overlap", "released_validity": "validity_only", "released_f1": "f1"}
    variants |= {"released_sparse": "sparse", "released_mentor": "mentor"}
    _, scores = score(tmp_path, source, [*variants, "flexible"])
    golden = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    assert [row["id"] for row in scores] == [row["id"] for row in golden]
    for ours, theirs in zip(scores, golden, strict=True):
        expected = {preset: theirs["rewards"][variant] for preset, variant in variants.items()}
        assert {preset: ours["rewards"][preset] for preset in variants} == pytest.approx(expected, abs=1e-9)


def test_an_output_below_a_file_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [HONEST_ROW])
    with pytest.raises(InputError, match=r"stage.output=.*rows.jsonl/scores.jsonl: no folder for it, File exists"):
        score(source, source, ["sparse"])


def test_an_output_is_not_written_over(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [HONEST_ROW])
    (tmp_path / "scores.jsonl").write_text("kept")
    with pytest.raises(InputError, match="exists already"):
        score(tmp_path, source, ["sparse"])
    assert (tmp_path / "scores.jsonl").read_text() == "kept"
    _, scores = score(tmp_path, source, ["sparse"], overwrite=True)
    assert len(scores) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no rows"),
        (b"\n\n", "holds no rows"),
        (b'{"id": 1}\n', r"rows.jsonl:1: no 'response'"),
        (json.dumps(HONEST_ROW).encode() + b"\n{oops\n", r"rows.jsonl:2: not JSON"),
        (b"[1]\n", r"rows.jsonl:1: a list .* instead of a row, accepted: one JSON object a line"),
        (b'{"schema": 1}\n', r"rows.jsonl:1 is not a trajectory \(no key 'task'\)"),
        (b"\xff\xfe\n", "not UTF-8 text"),
        (b'{"id": ' + b"[" * 100_000 + b"\n", "rows.jsonl:1: nested too deep"),
    ],
)
def test_unusable_input_writes_nothing(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=message):
        score(tmp_path, tmp_path / "rows.jsonl", ["sparse"])
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"no gzip", lambda data: data[:20] + b"\0" * 40]
)
def test_a_corrupt_gzip_file(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    source = write(tmp_path / "rows.jsonl.gz", [HONEST_ROW] * 50)
    source.write_bytes(damage(source.read_bytes()))
    with pytest.raises(InputError, match="corrupt gzip"):
        score(tmp_path, source, ["sparse"])


def test_a_missing_file_and_an_unknown_preset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere.jsonl: no such file"):
        score(tmp_path, tmp_path / "nowhere.jsonl", ["sparse"])
    with pytest.raises(ConfigError, match="unknown reward preset 'mentor', accepted: flexible"):
        score(tmp_path, write(tmp_path / "rows.jsonl", [HONEST_ROW]), ["mentor"])


def test_too_many_ungraded_answers_stop_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = load_preset("sparse") | {"grader_timeout_s": 0.5}  # of the hostile answer; 5 s by default
    monkeypatch.setattr("mentor.stages.score.settings_of", lambda name, described: impatient)
    hostile = raw_row(TURNS, r"\boxed{\int_0^1 9^{9^{9^9}}}", ground_truth=r"\sqrt{2}")
    source = write(tmp_path / "rows.jsonl", [HONEST_ROW] * 19 + [hostile] * 2)
    with pytest.raises(GraderError, match="could not be graded"):
        score(tmp_path, source, ["sparse"])
    assert not (tmp_path / "scores.jsonl").exists()


def own(folder: Path, function: str, name: str = "own", **more: float) -> dict:
    """The keys of a command that describes a reward of the user's own, as `reward` and `name`."""
    terms = {**load_preset("flexible")["terms"], "own": {"term": f"{write_rewards(folder)}:{function}", "weight": 0.1}}
    return {"reward": RewardConfig("flexible", terms=terms, **more), "name": name}


def test_a_reward_of_the_users_own_is_scored_beside_presets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = make_trajectory(calls=HONEST)
    bad = replace(good, task=replace(good.task, id="bad"))
    source = write(tmp_path / "t.jsonl", [good.to_dict(), bad.to_dict(), make_trajectory("none").to_dict()])
    stage = ScoreStage("score", str(source), str(tmp_path / "scores.jsonl"), ["flexible", "own"])
    config = Config(stage=stage, **own(tmp_path, "flaky"))
    result = run(config, RunFolder(tmp_path, tmp_path, False), Logger(Console(False)))
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [row["rewards"]["own"] for row in rows] == [pytest.approx(1.1), None, 0.0]
    assert [row["rewards"]["flexible"] for row in rows] == [1.0, 1.0, 0.0]
    assert [row["terms"]["own"].get("own", "not asked") for row in rows] == [1.0, None, "not asked"]
    assert result.counts["missing_grades"] == {"own": {"own": 1}} and result.counts["without_total"]["own"] == 1
    assert "my_rewards.py:flaky on task bad raised ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("presets", "name", "said"),
    [
        (["flexible"], "own", "`stage.presets` lacks own, the reward that reward= and name= describe"),
        (["flexible"], None, "`reward` is not the preset flexible, and is called so; accepted: another name"),
        (["own", "spares"], "own", "`stage.presets` has 'spares', no reward preset; did you mean `sparse`?"),
    ],
)
def test_a_reward_that_is_not_named_or_not_scored_is_refused(tmp_path: Path, presets, name, said) -> None:
    source = write(tmp_path / "rows.jsonl", [HONEST_ROW])
    stage = ScoreStage("score", str(source), str(tmp_path / "scores.jsonl"), presets)
    with pytest.raises(ConfigError, match=re.escape(said)):
        check(Config(stage=stage, **own(tmp_path, "brief", name)))
