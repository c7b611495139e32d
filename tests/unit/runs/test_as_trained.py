"""What a model was trained with is read from its stage, and its tools from the rollout where the stage called none."""

from pathlib import Path

import pytest
import yaml

from mentor.errors import InputError, RunFolderError
from mentor.runs.as_trained import chosen_model, trained_with
from tests.fixtures.run_folder import make_model_folder


def made(folder: Path, **groups: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"stage": {"name": folder.name.split("-")[0]}, **groups}))
    return make_model_folder(folder / "model", folder.name.encode())


def test_the_last_model_of_the_run_or_the_one_that_is_named(tmp_path: Path):
    with pytest.raises(RunFolderError, match="has no model yet: run `mentor stage=pretrain`"):
        chosen_model(tmp_path, None, None)
    sft, rl = made(tmp_path / "sft-s0"), made(tmp_path / "rl-flexible-s0")
    assert chosen_model(tmp_path, None, None) == rl and chosen_model(tmp_path, "sft-s0", None) == sft
    assert chosen_model(tmp_path, "sft-s0", "Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
    with pytest.raises(RunFolderError, match="`stage.model=rl` is not a model of .*; it has: sft-s0, rl-flexible-s0"):
        chosen_model(tmp_path, "rl", None)
    with pytest.raises(InputError, match="`model.path=nowhere` is not a folder"):
        chosen_model(tmp_path, None, "nowhere")


def test_tools_format_and_limits_are_those_of_training_and_engines_are_not(tmp_path: Path):
    tools = {"name": "file", "path": "tools.py", "workers": 3}
    sampler = {"name": "vllm", "max_tokens": 512, "gpu_memory_share": 0.3}
    rl = made(tmp_path / "rl-a-s0", tools=tools, sampler=sampler, model={"name": "x", "think_history": "strip"})
    assert trained_with(rl) == {
        "tools": {"name": "file", "path": "tools.py"},
        "model": {"think_history": "strip"},
        "sampler": {"max_tokens": 512},
    }
    sft = made(tmp_path / "sft-s0", model={"enable_thinking": True}, tools=None)
    assert trained_with(sft) == {"model": {"enable_thinking": True}}
    made(tmp_path / "rollout", tools=tools)
    assert trained_with(sft)["tools"] == {"name": "file", "path": "tools.py"}
    assert trained_with("Qwen/Qwen3-0.6B") == trained_with(make_model_folder(tmp_path / "hub", b"0")) == {}
