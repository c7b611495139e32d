"""Composing a check, and a small student in a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from mentor.chat import ChatFormat
from mentor.compose import register_schemas
from mentor.conf_dir import conf_dir
from mentor.stages import check_base, check_workload
from tests.fixtures.students import make_small_student


@pytest.fixture
def hydra_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Composing as the command does, in an empty folder, without a GPU or a hub cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check_workload, "GPU_DEVICE", tmp_path / "no such device")
    monkeypatch.setattr(check_base, "cached_folder", lambda name: None)
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


@pytest.fixture(scope="module")
def student_folder(tmp_path_factory: pytest.TempPathFactory, chat: ChatFormat) -> Path:
    folder = tmp_path_factory.mktemp("student") / "model"
    make_small_student(chat).save_pretrained(folder)
    chat.tokenizer.save_pretrained(folder)
    return folder
