"""The tokenizer of the model that wrote a trajectory: of the stage, its base, the evaluated model."""

from pathlib import Path

from mentor.reporting.read.tokenizer_files import tokenizer_of
from mentor.reporting.read.trajectories import gather
from tests.fixtures.run_folder import (
    write_json,
)


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
