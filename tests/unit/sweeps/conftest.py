"""Points of a sweep, composed as the command composes them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from mentor.compose import register_schemas
from mentor.conf_dir import conf_dir


@pytest.fixture
def hydra_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield
