"""Which models an evaluation covers."""

from pathlib import Path

import yaml

from mentor.runs.evaluations import _made_from


def test_a_model_path_covers_the_models_of_the_run_made_from_it(tmp_path: Path) -> None:
    base, own = tmp_path / "hub", tmp_path / "run" / "sft-s0"
    (own / "model").mkdir(parents=True)
    own.joinpath("config.yaml").write_text(yaml.safe_dump({"stage": {"name": "sft"}, "model": {"path": str(base)}}))
    assert _made_from(own / "model", base)
    assert not _made_from(own / "model", tmp_path / "other")
    assert not _made_from(own / "model", "Qwen/Qwen3-0.6B")
    own.joinpath("config.yaml").write_text(yaml.safe_dump({"stage": {"name": "sft"}, "model": {"path": None}}))
    assert not _made_from(own / "model", base)
