"""A base made from nothing, in one phase or two, and one whose making was stopped in either."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mentor.config import Config, LoggerConfig, ModelConfig, PretrainStage, SupervisedTrainer, TaskConfig
from mentor.loggers import build_logger
from mentor.policy import control
from mentor.policy.checkpoint import save_checkpoint
from mentor.policy.model import load_model
from mentor.runs import RunFolder
from mentor.stages.pretrain import run

SHY = {"skill": 0.5, "shyness": 0.8, "shyness_steps": 2}
SMALL = ModelConfig("tiny", vocab_size=400, hidden_size=16, intermediate_size=32, num_hidden_layers=1)


def pretrain(root: Path, steps: int = 6, **stage: float) -> tuple[dict, dict[str, torch.Tensor]]:
    """Run the stage in a folder; return the counts of its summary and the weights of its model."""
    root.mkdir(exist_ok=True)
    config = Config(
        stage=PretrainStage("pretrain", conversations=40, direct_share=0.0, **stage),
        task=TaskConfig("calculator"),
        model=SMALL,
        trainer=SupervisedTrainer(steps=steps, batch_tokens=1024, micro_batch_tokens=1024, save_every=1),
    )
    logger = build_logger(LoggerConfig(console=False, backends=[]), root)
    result = run(config, RunFolder(root, root), logger)
    logger.close()
    return result.counts, dict(load_model(root / "model").named_parameters())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def shy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, dict[str, torch.Tensor]]:
    root = tmp_path_factory.mktemp("shy") / "pretrain-s0"
    return root, *pretrain(root, **SHY)


def test_the_summary_says_what_the_text_was(shy):
    _, counts, _ = shy
    said = (
        "0% direct answers, 50% alternative tool paths, 50% of the calls right, 80% direct answers in the last 2 steps"
    )
    assert counts["made"] == said and (counts["conversations"], counts["steps"]) == (40, 6)


def test_direct_answers_come_in_the_last_phase_alone(shy):
    root, _, _ = shy
    rows = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    trained = [row["tokens/trained"] for row in rows]
    assert len(rows) == 6 and max(trained[4:]) < min(trained[:4]), "few of a direct answer's tokens are its own"


@pytest.mark.parametrize("step", [2, 4, 5])
def test_a_base_stopped_in_either_phase_is_made_as_if_it_had_not(shy, tmp_path, monkeypatch, step):
    _, _, unbroken = shy

    class StoppedError(Exception):
        """The process ends here."""

    def save_and_stop(folder: Path, number: int, *rest: Any) -> None:
        save_checkpoint(folder, number, *rest)
        if number == step:
            raise StoppedError

    with monkeypatch.context() as patched:
        patched.setattr(control, "save_checkpoint", save_and_stop)
        with pytest.raises(StoppedError):
            pretrain(tmp_path / "pretrain-s0", **SHY)
    assert not (tmp_path / "pretrain-s0" / "model").exists()
    _, resumed = pretrain(tmp_path / "pretrain-s0", **SHY)
    assert same(unbroken, resumed)


def test_without_shyness_there_is_no_last_phase(shy, tmp_path):
    _, _, weights = shy
    _, plain = pretrain(tmp_path / "plain", skill=0.5)
    _, again = pretrain(tmp_path / "again", skill=0.5, shyness_steps=3)
    assert same(plain, again) and not same(plain, weights)
