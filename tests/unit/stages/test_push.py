"""What is listed of a model, and what the Hub's own client sends of it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from mentor.config import Config, ModelConfig, PushStage
from mentor.errors import InputError, StageError
from mentor.loggers import silent_logger
from mentor.runs import RunFolder
from mentor.stages.push import line_of, run, send
from tests.fixtures.carded_run import make_carded_run
from tests.fixtures.hub_server import HubServer, hub_server


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_carded_run(tmp_path / "run")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server("hf_secret") as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        yield server


def push(root: Path, **settings: object):
    config = Config(PushStage("push", **settings), model=ModelConfig("tiny"))
    return run(config, RunFolder(root / "own", root), silent_logger())


def test_a_dry_run_lists_every_file_and_sends_nothing(model: Path, hub: HubServer):
    root = model.parents[1]
    counts = push(root, repo="me/student").counts
    card = (model / "README.md").stat().st_size
    assert counts == {"files": 4, "bytes": 2 + 2 + 7 + card, "sent": False}
    assert not hub.repositories and not hub.commits
    digest = hashlib.sha256(b"trained").hexdigest()
    assert line_of(model / "model.safetensors", model) == f"model.safetensors  7 bytes  sha256 {digest}"


def test_the_files_are_one_commit_of_a_private_repository(model: Path, hub: HubServer):
    assert push(model.parents[1], repo="me/student", dry_run=False).counts["sent"]
    assert hub.repositories == {"me/student": True}
    ((name, title, files),) = hub.commits
    assert name == "me/student" and title.startswith("rl-flexible-s0, configuration ")
    assert files == {entry.name: entry.read_bytes() for entry in model.iterdir()}
    push(model.parents[1], repo="me/open", private=False, dry_run=False)
    assert hub.repositories["me/open"] is False


def test_adapters_alone(model: Path, hub: HubServer):
    with pytest.raises(InputError, match="`stage.what=adapter`: .*adapter is not there, which a stage with"):
        push(model.parents[1], what="adapter")
    adapter = model.parent / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "Qwen/Qwen3-0.6B"}))
    (adapter / "adapter_model.safetensors").write_bytes(b"ab")
    push(model.parents[1], repo="me/adapter", what="adapter", dry_run=False)
    assert sorted(hub.commits[0][2]) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]


def test_a_refusal_and_an_offline_client_are_one_line(model: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(StageError, match=r"me/student was not sent to http://127.0.0.1:\d+: .*401"):
        send(model, "me/student", True, "title")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="sends to the Hub, and HF_HUB_OFFLINE is set"):
        send(model, "me/student", True, "title")
    assert not hub.commits


def test_a_model_of_the_hub_is_not_sent(tmp_path: Path):
    config = Config(PushStage("push"), model=ModelConfig("tiny", "Qwen/Qwen3-0.6B"))
    with pytest.raises(InputError, match="`model.path=Qwen/Qwen3-0.6B` is no folder"):
        run(config, RunFolder(tmp_path / "own", tmp_path), silent_logger())
