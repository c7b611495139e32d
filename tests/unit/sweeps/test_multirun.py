"""The points of a command from Hydra's side: results by point, failures, and what a sweeper is given."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

from mentor.config import Config, ModelConfig, SftStage
from mentor.errors import ConfigError
from mentor.runs.launch import ChildFailed
from mentor.sweeps.job import PointJob, PointResult
from mentor.sweeps.manifest import read_manifest
from mentor.sweeps.multirun import Multirun, PointFailed, _ended, _plain


def returned(value: Any, sweeper: str = "basic") -> JobReturn:
    """What Hydra's launcher has of one point once it is composed: the point, or the error of composing it."""
    hydra: Any = SimpleNamespace(hydra=SimpleNamespace(runtime=SimpleNamespace(choices={"hydra/sweeper": sweeper})))
    status = JobStatus.FAILED if isinstance(value, Exception) else JobStatus.COMPLETED
    return JobReturn(hydra_cfg=hydra, status=status, _return_value=value)


@pytest.mark.parametrize("sweeper", ["basic", "optuna"])
def test_a_failed_point_is_nothing_for_the_basic_sweeper_and_an_error_for_another(tmp_path: Path, sweeper: str):
    sft = Config(stage=SftStage("sft"), model=ModelConfig("tiny"))  # there is no rollout to train on
    job = PointJob("seed=1", "4567", tmp_path / "sweeps" / "id", tmp_path, {"seed": 1}, [sft])
    multirun, returns = Multirun(set()), [returned(job, sweeper)]
    if sweeper == "basic":
        with pytest.raises(PointFailed, match="all points failed"):
            multirun.do(returns)
        assert returns[0].return_value is None
    else:
        multirun.do(returns)
        with pytest.raises(PointFailed, match="seed=1: .* run `mentor stage=rollout` first"):
            _ = returns[0].return_value
    assert multirun.points == {"seed=1": 2}
    assert read_manifest(job.sweep_folder)["4567"].status == "failed"


def test_a_point_that_was_not_composed_counts_as_failed_and_a_bug_is_raised():
    multirun = Multirun({"stage"})
    multirun.points = {"a": 2, "b": 0}
    returns = [returned(ConfigError("no such key"))]
    multirun.do(returns)
    assert returns[0].return_value is None and returns[0].status == JobStatus.COMPLETED
    with pytest.raises(ValueError, match="a bug"):
        multirun.do([returned(ValueError("a bug"))])


def test_failures_end_the_command_with_the_lowest_code(capsys: pytest.CaptureFixture[str]):
    multirun = Multirun(set())
    multirun.points = {"a": 0, "b": 2, "c": 1}
    with pytest.raises(ChildFailed) as raised:
        multirun.raise_failures()
    assert raised.value.exit_code == 1 and capsys.readouterr().err == "mentor: 2 of 3 points failed: b, c\n"
    multirun.points = {"a": 0}
    multirun.raise_failures()


def test_what_a_sweeper_wrote_is_kept_beside_the_points(tmp_path: Path):
    scratch, kept = tmp_path / "scratch", tmp_path / "kept"
    scratch.mkdir()
    kept.mkdir()
    for name in ("multirun.yaml", "optimization_results.yaml"):
        (scratch / name).write_text("best: 1\n")
    multirun = Multirun(set())
    multirun.keep_results(scratch)  # no point was composed: there is no folder to keep it in
    multirun.sweep_folder = kept
    multirun.keep_results(scratch)
    assert [path.name for path in kept.iterdir()] == ["optimization_results.yaml"]


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("seed=3", 3),
        ("reward.weights.tool=0.1", 0.1),
        ("name='a b'", "a b"),
        ("task.path=null", None),
        ("stage.steps=[a,b]", "[a,b]"),
    ],
)
def test_values_are_noted_as_plain_values_or_as_they_are_written(override: str, value: object):
    (parsed,) = OverridesParser.create().parse_overrides([override])
    assert _plain(parsed) == value


def test_how_a_point_ended_is_said_in_a_few_words():
    number: Any = {"name": "reward/correct", "value": 0.41666}
    assert _ended(PointResult(2, error="no rollout")) == "failed: no rollout"
    assert _ended(PointResult(0, number)) == "done, reward/correct 0.4167"
    assert _ended(PointResult(0, ran=False)) == "done already"
