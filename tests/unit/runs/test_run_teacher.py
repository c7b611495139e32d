"""The teacher that a command talks to is that of the run's rollout, but for what the command sets."""

from pathlib import Path

import pytest
import yaml
from hydra import compose
from omegaconf import DictConfig

from mentor.compose import parse, to_config
from mentor.config import Config, ModelTeacher, OpenaiTeacher, ToolsConfig, dump, load
from mentor.errors import ConfigError, RunFolderError
from mentor.runs.run_teacher import split_teacher_keys, talks_to_teacher, with_run_teacher
from tests.fixtures.teacher_rollouts import ENDPOINT

pytestmark = pytest.mark.usefixtures("hydra_conf", "work")
TALK = ("stage=chat", "stage.model=teacher")


def composed(*overrides: str) -> Config:
    return to_config(compose("config", overrides=["stage=rollout", *overrides]))


def rolled_out(*overrides: str) -> None:
    """The stored config of a rollout."""
    folder = Path("outputs/default/rollout")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(dump(composed(*overrides))))


def taught(*overrides: str) -> DictConfig:
    parsed = parse([*TALK, *overrides])
    first, _ = split_teacher_keys(parsed, "chat")
    cfg = compose("config", overrides=[str(entry.input_line) for entry in first])
    assert talks_to_teacher(cfg)
    return with_run_teacher(cfg, parsed)


def test_a_teacher_in_process_has_the_rollouts_settings_and_tools_where_the_command_sets_no_others():
    sampler = ("teacher.sampler.max_turns=3", "teacher.sampler.max_tokens=700")
    own = ("teacher=model", "teacher.path=big", "teacher.enable_thinking=true", *sampler)
    rolled_out(*own, "tools.timeout_s=5", "tools.workers=3")
    cfg = taught("teacher.sampler.max_tokens=800", "teacher.dtype=bfloat16")
    assert (cfg.teacher.path, cfg.teacher.enable_thinking, cfg.teacher.dtype) == ("big", True, "bfloat16")
    assert (cfg.teacher.sampler.max_turns, cfg.teacher.sampler.max_tokens) == (3, 800)
    assert cfg.tools.timeout_s == 5 and cfg.tools.workers is None
    assert taught("teacher.sampler={max_turns: 4}").teacher.sampler.max_turns == 4
    assert taught("tools=python").tools.timeout_s == ToolsConfig("python").timeout_s
    with pytest.raises(ConfigError, match="`teacher.nonsense` is not a key"):
        taught("teacher.nonsense=1")


def test_an_endpoint_is_asked_as_in_the_rollout_its_answer_format_included():
    rolled_out(*ENDPOINT, "task.answer_format=hashes", "+teacher.extra_body={top_k: 20}", "teacher.max_total_tokens=9")
    stored = yaml.safe_load(Path("outputs/default/rollout/config.yaml").read_text())
    cfg = taught("teacher.temperature=0")
    teacher = cfg.teacher
    assert (teacher.base_url, teacher.temperature, teacher.max_total_tokens) == (stored["teacher"]["base_url"], 0, 9)
    assert "{answer_format}" in stored["teacher"]["instruction"] and "####" in teacher.instruction
    assert teacher.extra_body == {"top_k": 20}
    assert taught("+teacher.extra_body.top_k=5").teacher.extra_body == {"top_k": 5}


def test_the_command_may_choose_another_teacher_and_has_to_where_the_run_has_no_rollout():
    with pytest.raises(RunFolderError, match=r"`stage.model=teacher` is that of the run's rollout, and .* has none"):
        taught("teacher.temperature=0")
    assert taught("teacher=model", "teacher.path=big").teacher.path == "big"
    rolled_out(*ENDPOINT, "tools.timeout_s=5")
    cfg = taught("teacher=model", "teacher.path=big")
    assert cfg.teacher.name == "model" and cfg.tools.timeout_s == 5


def test_keys_are_split_off_for_a_teacher_that_only_the_run_knows():
    own = parse(["teacher.temperature=0", "run=x"])
    assert [entry.key_or_group for entry in split_teacher_keys(own, "chat")[1]] == ["teacher.temperature"]
    assert split_teacher_keys(own, "rollout") == (own, [])
    chosen = parse(["teacher=openai", "teacher.temperature=0"])
    assert split_teacher_keys(chosen, "serve") == (chosen, [])


@pytest.mark.parametrize(("preset", "kind"), [("openai", OpenaiTeacher), ("model", ModelTeacher)])
def test_a_stage_reads_the_teacher_or_the_student(preset: str, kind: type):
    own = [*ENDPOINT] if preset == "openai" else ["teacher=model", "teacher.path=big"]
    values = dump(composed(*own))
    talk = load({**values, "stage": {"name": "chat", "model": "teacher"}})
    assert isinstance(talk.teacher, kind) and {"model", "sampler"}.isdisjoint(dump(talk))
    assert "teacher" not in dump(load({**values, "stage": {"name": "chat", "model": None}}))
