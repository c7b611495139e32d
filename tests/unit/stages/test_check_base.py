"""The shape of what rl starts from: of a folder, of the cache, of the keys; what cannot be used."""

import json
from pathlib import Path

import pytest
from hydra import compose

from mentor.chat import ChatFormat
from mentor.compose import to_config
from mentor.config import Config
from mentor.errors import InputError
from mentor.stages import check_base
from mentor.stages.check_base import look_at_base


def config_of(*overrides: str) -> Config:
    return to_config(compose("config", overrides=["stage=check", *overrides]))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"intermediate_size": None}, "cannot be planned"), ({"num_experts": 8}, "num_experts: only dense models")],
)
def test_a_shape_that_cannot_be_planned(
    hydra_conf: None, tmp_path: Path, student_folder: Path, change: dict, message: str
) -> None:
    folder = tmp_path / "changed"
    folder.mkdir()
    for path in student_folder.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "config.json").unlink()
    values = {**json.loads((student_folder / "config.json").read_text()), **change}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=message) as raised:
        look_at_base(config_of(f"model.path={folder}"), tmp_path)
    assert "\n" not in str(raised.value)


def test_a_base_without_tokenizer_or_template_is_refused(
    hydra_conf: None, tmp_path: Path, student_folder: Path
) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "config.json").symlink_to(student_folder / "config.json")
    with pytest.raises(InputError, match="no tokenizer"):
        look_at_base(config_of(f"model.path={folder}"), tmp_path)


def test_the_shape_is_that_of_the_folder_the_cache_or_the_keys(
    hydra_conf: None, tmp_path: Path, student_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = look_at_base(config_of(f"model.path={student_folder}"), tmp_path)
    assert given.name == str(student_folder) and given.chat is not None and "chat template can be used" in given.finding
    missing = look_at_base(config_of("model.hidden_size=256"), tmp_path)
    assert missing.name == "made by an earlier stage" and missing.shape.hidden_size == 256 and missing.chat is None
    hub = look_at_base(config_of("model=qwen3_0_6b"), tmp_path)
    assert (hub.name, hub.shape.hidden_size) == ("Qwen/Qwen3-0.6B", 1024) and "not on this machine" in hub.finding
    monkeypatch.setattr(check_base, "cached_folder", lambda name: student_folder)
    seen: list[ChatFormat] = []
    cached = look_at_base(config_of("model=qwen3_0_6b"), tmp_path, seen.append)
    assert cached.shape == given.shape and seen == [cached.chat] and cached.name == "Qwen/Qwen3-0.6B"
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").symlink_to(student_folder / "config.json")
    monkeypatch.setattr(check_base, "cached_folder", lambda name: bare)
    half = look_at_base(config_of("model=qwen3_0_6b"), tmp_path)
    assert half.shape == given.shape and half.chat is None and "its tokenizer is not on this machine" in half.finding


def test_the_chat_format_is_seen_before_a_shape_that_cannot_be_planned(
    hydra_conf: None, tmp_path: Path, student_folder: Path
) -> None:
    for path in student_folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "config.json").unlink()
    values = {**json.loads((student_folder / "config.json").read_text()), "num_experts": 8}
    (tmp_path / "config.json").write_text(json.dumps(values))
    seen: list[ChatFormat] = []
    with pytest.raises(InputError, match="only dense models"):
        look_at_base(config_of(f"model.path={tmp_path}"), tmp_path, seen.append)
    assert [chat.syntax.name for chat in seen] == ["hermes"]
