"""Which models an evaluation covers."""

from pathlib import Path

import pytest
import yaml

from mentor.config import BenchmarkConfig, Config, EvalStage, ModelConfig, TaskConfig
from mentor.errors import RunFolderError
from mentor.runs.evaluations import _made_from, evaluations, fingerprint
from tests.fixtures.run_folder import make_model_folder

TASK = TaskConfig("gsm8k")


def test_a_model_path_covers_the_models_of_the_run_made_from_it(tmp_path: Path) -> None:
    base, own = tmp_path / "hub", tmp_path / "run" / "sft-s0"
    (own / "model").mkdir(parents=True)
    own.joinpath("config.yaml").write_text(yaml.safe_dump({"stage": {"name": "sft"}, "model": {"path": str(base)}}))
    assert _made_from(own / "model", base)
    assert not _made_from(own / "model", tmp_path / "other")
    assert not _made_from(own / "model", "Qwen/Qwen3-0.6B")
    own.joinpath("config.yaml").write_text(yaml.safe_dump({"stage": {"name": "sft"}, "model": {"path": None}}))
    assert not _made_from(own / "model", base)


def test_evaluations_are_every_model_by_every_benchmark(tmp_path: Path):
    config = Config(
        stage=EvalStage("eval"),
        model=ModelConfig("tiny"),
        benchmark={"a": BenchmarkConfig(TaskConfig("gsm8k")), "b": BenchmarkConfig(TaskConfig("gsm8k"))},
    )
    with pytest.raises(RunFolderError, match="has no model yet"):
        evaluations(config, tmp_path)
    for name in ("rl-sparse-s0", "sft-s0", "pretrain-s0"):
        make_model_folder(tmp_path / name / "model", name.encode())
    jobs = evaluations(config, tmp_path)
    names = ("pretrain-s0", "sft-s0", "rl-sparse-s0")
    assert [job.folder for job in jobs] == [f"{name}/{benchmark}" for name in names for benchmark in ("a", "b")]
    config.model.path = str(tmp_path / "sft-s0" / "model")
    alone = evaluations(config, tmp_path)
    assert [job.folder for job in alone] == ["sft-s0/a", "sft-s0/b"]
    assert alone[0].config == jobs[2].config, "named or found, the same evaluation"


def test_fingerprint_changes_with_the_weights(tmp_path: Path):
    model = make_model_folder(tmp_path / "m", bytes(300_000))
    before = fingerprint(model)
    (model / "model.safetensors").write_bytes(bytes(299_999) + b"1")
    assert fingerprint(model) != before
    (model / "model.safetensors").write_bytes(bytes(300_000))
    assert fingerprint(model) == before


def test_a_checkpoint_is_evaluated_beside_its_stage_and_other_steps(tmp_path: Path):
    stage = tmp_path / "rl-flexible-s0"
    make_model_folder(stage / "model", b"end")
    for step in (5, 10):
        folder = stage / "checkpoints" / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / "meta.pt").touch()
        (folder / "parameters-00000.pt").write_bytes(bytes([step]))
    rollout = {"stage": {"name": "rollout"}, "task": {"name": "gsm8k"}}
    (tmp_path / "rollout").mkdir()
    (tmp_path / "rollout" / "config.yaml").write_text(yaml.safe_dump(rollout))
    found = []
    for step in (5, 10):
        path = str(stage / "checkpoints" / str(step))
        config = Config(EvalStage("eval"), model=ModelConfig("tiny", path), benchmark={"a": BenchmarkConfig(TASK)})
        found += evaluations(config, tmp_path / "another run")
    assert [job.folder for job in found] == ["rl-flexible-s0-step-5/a", "rl-flexible-s0-step-10/a"]
    assert {job.trained_on for job in found} == {"gsm8k"}, "of the run that made it"
    weights = {job.config["upstream"]["weights"] for job in found}
    assert len(weights) == 2
