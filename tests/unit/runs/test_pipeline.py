"""The steps of a pipeline: in order, done ones skipped, none that write one folder with two configurations."""

from pathlib import Path

import pytest

from mentor.config import Config, RewardConfig, RlStage, RlTrainer, RolloutStage, ScoreStage, SftStage, TaskConfig, dump
from mentor.errors import ConfigError
from mentor.runs import pipeline
from mentor.runs.folder import claim
from tests.fixtures.run_folder import write_stage


def rl(reward: str, name: str | None = None) -> Config:
    return Config(stage=RlStage("rl"), reward=RewardConfig(reward), trainer=RlTrainer(), name=name)


def test_two_steps_of_one_folder_are_refused():
    pipeline.refuse_clashes([rl("strict"), rl("sparse"), rl("strict"), Config(stage=SftStage("sft"))])
    pipeline.refuse_clashes([Config(stage=ScoreStage("score", input="a", output="b"))] * 2)
    with pytest.raises(ConfigError, match="two steps that write rl-x-s0; give one of them name= or seed="):
        pipeline.refuse_clashes([rl("strict", "x"), rl("sparse", "x")])


def test_steps_that_are_done_start_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    step = Config(stage=RolloutStage("rollout"), task=TaskConfig("calculator", size=5))
    claim(tmp_path / "rollout", dump(step), overwrite=False)
    number = {"name": "rollout/verified_share", "value": 0.75}
    write_stage(tmp_path, "rollout", "rollout", headline=number)
    started: list[int] = []
    assert pipeline.run([step, step], tmp_path, lambda: started.append(1)) == number
    assert not started
    said = capsys.readouterr().err
    assert f"step 1/2: stage=rollout in {tmp_path}/rollout\n" in said and "step 2/2" in said
    assert said.count("stage=rollout is done") == 2
