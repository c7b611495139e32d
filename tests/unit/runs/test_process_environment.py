"""The variables of a stage's processes: threads, and whether libraries ask the hub."""

import os
from pathlib import Path

import pytest

from mentor.config import Config, ModelConfig, ScoreStage, TaskConfig
from mentor.runs import process_environment as module


def test_threads_are_the_configs_then_the_shells_then_a_part_of_the_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(6))
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert module._threads(3, 2) == {"OMP_NUM_THREADS": "3"} and module._threads(None, 2) == {}
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert module._threads(None, 2) == {"OMP_NUM_THREADS": "3"} and module._threads(None, 9) == {"OMP_NUM_THREADS": "1"}


def test_only_names_that_are_no_file_here_ask_the_hub(tmp_path: Path):
    def config(model: str | None, task: str | None) -> Config:
        return Config(stage=ScoreStage("score"), model=ModelConfig("m", model), task=TaskConfig("gsm8k", path=task))

    assert module._names_the_hub(config("Qwen/Qwen3-0.6B", None)) and module._names_the_hub(
        config(None, "openai/gsm8k")
    )
    assert not module._names_the_hub(config(str(tmp_path), None)) and not module._names_the_hub(config(None, None))
