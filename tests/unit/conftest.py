"""Fixtures for composing as the command does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from mentor.compose import register_schemas
from mentor.conf_dir import conf_dir


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with one input file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("")
    return tmp_path


@pytest.fixture
def hydra_conf() -> Iterator[None]:
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield
