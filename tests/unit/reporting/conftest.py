"""What tests of several parts of the report read."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.run_folder import evaluation_record, make_trajectory, training_record, write_lines


@pytest.fixture
def run(tmp_path: Path, chat) -> Path:
    """One RL stage with its model's tokenizer, one evaluation of a model whose tokenizer is gone."""
    chat.tokenizer.save_pretrained(tmp_path / "rl-a-s0" / "model")
    trained = [make_trajectory("t0"), make_trajectory("t1", question="</script><!-- {{ x }}")]
    write_lines(tmp_path / "rl-a-s0/trajectories/trajectories.jsonl", [training_record(t, step=5) for t in trained])
    write_lines(tmp_path / "rollout/trajectories.jsonl", [replace(trained[0], tokens=None).to_dict()])
    items = [evaluation_record(make_trajectory("t0", question="Another one?", split="test"), correct=None)]
    write_lines(tmp_path / "eval/m/calc/items.jsonl", items)
    return tmp_path
