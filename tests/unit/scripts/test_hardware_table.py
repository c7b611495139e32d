"""docs/hardware.md is what the plan says, and every command on it composes and fits."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from mentor.compose import register_schemas, to_config
from mentor.conf_dir import conf_dir
from scripts import hardware_table
from scripts.hardware_table import HARDWARE, MODELS, PlannedCommand, rows


@pytest.fixture(scope="module")
def found() -> tuple[PlannedCommand, ...]:
    return rows()


def test_every_model_fits_every_hardware(found: tuple[PlannedCommand, ...]) -> None:
    assert len(found) == len(HARDWARE) * len(MODELS) == 18
    from_the_hub = {path.stem for path in (conf_dir() / "model").glob("*.yaml") if not path.stem.startswith("tiny")}
    assert from_the_hub == set(MODELS)
    for row in found:
        assert row.plan.misfits == () and row.plan.sequences is not None and row.plan.sequences >= 1, row.command


def test_every_command_composes_with_the_papers_numbers(found: tuple[PlannedCommand, ...]) -> None:
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for row in found:
            config = to_config(compose("config", overrides=["stage=rl", *row.overrides]))
            trainer, sampler = config.trainer, config.sampler
            assert (trainer.prompts_per_step, trainer.group_size, trainer.minibatches) == (32, 10, 4)
            assert (trainer.kl_coef, trainer.kl_estimator, trainer.kl_placement) == (0.001, "k3", "loss")
            assert trainer.learning_rate == (1e-5 if trainer.lora.rank else 1e-6)
            assert trainer.gradient_checkpointing and config.model.dtype == "bfloat16"
            assert (sampler.name, sampler.max_turns, sampler.max_turn_tokens, sampler.max_tokens) == (
                "vllm",
                5,
                8192,
                9728,
            )
            assert config.model.name == row.model


def test_the_page_is_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert hardware_table.main(["--check"]) == 0, "run python scripts/hardware_table.py"
    copy = tmp_path / "hardware.md"
    copy.write_text(hardware_table.PAGE.read_text(encoding="utf-8").replace("| `qwen3_8b` |", "| `qwen3_8b` | 1 |"))
    monkeypatch.setattr(hardware_table, "PAGE", copy)
    assert hardware_table.main(["--check"]) == 1 and hardware_table.main([]) == 0 == hardware_table.main(["--check"])
    assert hardware_table.main(["--chekc"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
