"""The SFT stage on a random student: what it trains on, what it leaves, and what it refuses."""

import pytest
from safetensors.torch import load_file

from mentor.config import Config, ModelConfig, SftStage, SftTrainer
from mentor.errors import StageError
from mentor.jsonl import read_jsonl
from mentor.stages import sft
from tests.fixtures.traces import sums_row, traced
from tests.fixtures.training_run import make_run, run_stage


def config(steps: int, limit: int | None = 6) -> Config:
    trainer = SftTrainer(steps=steps, batch_tokens=600, learning_rate=1e-2, save_every=2)
    return Config(stage=SftStage("sft", limit=limit), model=ModelConfig("tiny"), trainer=trainer)


def test_the_loss_falls_on_the_teachers_turns_and_a_model_is_written(conversations, chat, tmp_path):
    base = make_run(tmp_path, chat, conversations[:8])
    result = run_stage(sft.run, config(6), tmp_path, "sft-s0")
    rows = list(read_jsonl(tmp_path / "sft-s0" / "metrics.jsonl"))
    assert len(rows) == 6 and result.headline == ("loss/train", rows[-1]["loss/train"])
    assert rows[-1]["loss/train"] < rows[0]["loss/train"] and rows[0]["tokens/trained"] > 0
    assert result.counts["trajectories"] == 6 and result.counts["too_long"] == 0 and result.counts["base"] == str(base)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "sft-s0" / "model"))
    assert any((before[name] != after[name]).any() for name in before)


def test_trajectories_longer_than_the_model_are_left_out_and_none_is_refused(conversations, chat, tmp_path):
    fitting = conversations[0]
    long = conversations[1].to_dict()
    long["messages"][0]["content"] *= 60
    from mentor.types import Trajectory

    make_run(tmp_path, chat, [fitting, Trajectory.from_dict(long)])
    assert run_stage(sft.run, config(1), tmp_path, "sft-s0").counts["too_long"] == 1
    (tmp_path / "again").mkdir()
    make_run(tmp_path / "again", chat, [Trajectory.from_dict(long)])
    with pytest.raises(StageError, match="no trajectory of .* fits the 512 positions"):
        run_stage(sft.run, config(1), tmp_path / "again", "sft-s0")


def test_traces_are_trained_on_the_assistants_words_alone(chat, tmp_path):
    rows = [sums_row(2, 3), sums_row(4, 5)]
    rows[1]["messages"][2]["weight"] = 0
    trajectories = traced(tmp_path, *rows)
    base = make_run(tmp_path, chat, trajectories)
    result = run_stage(sft.run, config(1, limit=None), tmp_path, "sft-s0")
    assert result.counts["trajectories"] == 2 and result.counts["base"] == str(base)
    (row,) = read_jsonl(tmp_path / "sft-s0" / "metrics.jsonl")
    spoken = [
        message for trajectory in trajectories for message in trajectory.messages if message["role"] == "assistant"
    ]
    written = sum(len(chat.turn_ids(message)) for message in spoken if message.get("weight") != 0)
    assert len(spoken) == 6 and row["tokens/trained"] == written
