"""The tokenizer of the model that wrote a trajectory: of the stage, its base, the evaluated model."""

from dataclasses import replace
from pathlib import Path

import pytest

from mentor.reporting.read.tokenizer_files import tokenizer_of
from mentor.reporting.read.trajectories import gather
from tests.fixtures.run_folder import (
    evaluation_record,
    make_trajectory,
    training_record,
    write_json,
    write_lines,
)


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


def test_an_unfinished_stage_has_the_tokenizer_of_its_base(run: Path) -> None:
    (run / "rl-a-s0/model").rename(run / "base")
    (run / "base/config.json").write_text("{}")
    training = next(s.place for s in gather(run, 10).chosen if s.place.kind == "training")
    assert tokenizer_of(training) is None
    config = {"stage": {"name": "rl"}, "init": str(run / "base"), "seed": 0}
    write_json(run / "rl-a-s0/config.yaml", config)  # JSON is YAML
    assert tokenizer_of(training) == run / "base/tokenizer.json"
    write_json(run / "rl-a-s0/config.yaml", config | {"init": str(run / "gone")})
    assert tokenizer_of(training) is None


def test_an_evaluated_model_is_found_in_the_run_or_where_it_was(run: Path) -> None:
    place = next(s.place for s in gather(run, 10).chosen if s.place.kind == "evaluation")
    assert tokenizer_of(place) is None
    write_json(run / "eval/m/calc/summary.json", {"model_path": str(run / "rl-a-s0/model")})
    assert tokenizer_of(place) == run / "rl-a-s0/model/tokenizer.json"
    (run / "m/model").mkdir(parents=True)
    (run / "rl-a-s0/model/tokenizer.json").rename(run / "m/model/tokenizer.json")
    assert tokenizer_of(place) == run / "m/model/tokenizer.json"
