"""`stage=check` says what is there, plans, refuses in one line, and leaves nothing behind."""

from pathlib import Path

import pytest
from hydra import compose

from mentor.cli import main
from mentor.compose import to_config
from mentor.config import Config
from mentor.errors import ConfigError
from mentor.loggers.console import Console
from mentor.loggers.logger import Logger
from mentor.runs.folder import RunFolder
from mentor.stages import StageResult, check, check_base


def config_of(*overrides: str) -> Config:
    return to_config(compose("config", overrides=["stage=check", *overrides]))


def run(root: Path, *overrides: str) -> StageResult:
    return check.run(config_of(*overrides), RunFolder(root / "own", root), Logger(Console(False)))


def test_the_defaults_fit_before_anything_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["stage=check", "launcher.device_memory_gib=8"]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    assert "base: not there yet" in said.out and "mentor stage=pretrain" in said.out
    assert (
        "tools: 12 tools of calculator in monty" in said.out
        and "  add(a=1.5, b=1.5) -> '3'" in said.out
        and "stage=rl writes outputs/default/rl-flexible-s0" in said.out
    )
    assert "of 869,504 with plain torch" in said.out and "\nfits: " in said.out
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_fit_is_one_line_with_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["stage=check", "experiment=paper_1x80gb", "model=qwen3_8b"]) == 2
    said = capfd.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("mentor: backward needs ") and "on each GPU, 75.2 of 80.0 are available" in line
    assert line.endswith("this fits: trainer.deepspeed.offload=true")
    assert said.out.count("GPU           backward") == 1 and "fits: " not in said.out
    assert list(tmp_path.iterdir()) == []


def test_many_processes_are_planned_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["stage=check", "experiment=paper_8x80gb"]) == 0
    assert capfd.readouterr().out.count("model qwen3_1_7b: Qwen/Qwen3-1.7B") == 1


def test_the_runs_own_base_and_rollout_are_found(
    hydra_conf: None, tmp_path: Path, student_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pretrain-s0").mkdir()
    (tmp_path / "pretrain-s0" / "model").symlink_to(student_folder)
    for folder in ("rollout", "rl-mine-s0"):
        (tmp_path / folder).mkdir()
    (tmp_path / "rollout" / "trajectories.jsonl").touch()
    result = run(tmp_path, "name=mine", "sampler.max_tokens=512")
    said = capsys.readouterr().out
    assert "tokenizer and chat template can be used" in said and "stage=rollout" not in said
    assert f"stage=rl writes {tmp_path / 'rl-mine-s0'}, which is there already" in said
    head, vocabulary = 2 * 32 * (32 + 16 + 16 + 32) // 2 + 3 * 32 * 64 + 2 * 32, result.counts["parameters"]
    assert vocabulary > 2 * head and result.headline is not None and result.headline[0] == "memory/peak_gib"


def test_a_local_folder_is_judged_by_its_own_config(hydra_conf: None, tmp_path: Path, student_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"`sampler\.max_tokens=1024` is more than .*max_position_embeddings=512"):
        run(tmp_path, "model=qwen3_8b", f"model.path={student_folder}")
    small = run(
        tmp_path, "model=qwen3_8b", f"model.path={student_folder}", "sampler.max_tokens=512", "sampler=transformers"
    )
    assert small.counts["parameters"] < 1_000_000


def test_a_hub_model_has_the_shape_of_its_keys_or_of_the_cache(
    hydra_conf: None,
    tmp_path: Path,
    student_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    overrides = ["experiment=paper_1x24gb", "model=qwen3_0_6b"]
    assert run(tmp_path, *overrides).counts["parameters"] == pytest.approx(596_049_920, rel=1e-4)
    assert "not on this machine" in capsys.readouterr().out
    monkeypatch.setattr(check_base, "cached_folder", lambda name: student_folder)
    assert (
        run(tmp_path, *overrides, "sampler.max_tokens=512", "sampler.max_turn_tokens=64").counts["parameters"] < 10**6
    )


def test_a_reward_that_pays_for_what_it_should_not_is_refused(hydra_conf: None, tmp_path, capsys) -> None:
    keys = ["launcher.device_memory_gib=8", "stage.lint_tasks=1"]
    with pytest.raises(ConfigError, match="reward: repeating calls is free, and 7 more findings"):
        run(tmp_path, *keys, "reward=released_mentor")
    said = capsys.readouterr().out
    assert "1.100  calls in thinking only" in said and "reward: calls that never ran are paid" in said
    run(tmp_path, *keys[:1], "stage.lint_tasks=0", "reward=released_mentor")
    assert "honest" not in capsys.readouterr().out
    run(tmp_path, *keys)
    assert "reward: flexible keeps every order on 1 tasks" in capsys.readouterr().out


def test_what_the_check_does_not_look_at_is_said(hydra_conf: None) -> None:
    assert check.not_looked_at(config_of()) == []
    config = config_of("task.perturb.distractors=3", "reward.anneal=run")
    assert check.not_looked_at(config) == ["not part of this check: task.perturb and reward.anneal"]
    assert check.not_looked_at(config_of("reward.anneal=group")) == ["not part of this check: reward.anneal"]
