"""What a card says is what the run's files hold, and no more."""

from pathlib import Path

import pytest

from mentor.cards.facts import NOT_STATED, read_facts, run_of
from mentor.errors import RunFolderError
from tests.fixtures.carded_run import HUB, make_carded_run
from tests.fixtures.run_folder import make_model_folder, write_stage


def test_where_a_model_is_from_and_what_it_was_trained_on(tmp_path: Path):
    facts = read_facts(make_carded_run(tmp_path))
    assert (facts.name, facts.stage, facts.step) == ("rl-flexible-s0", "rl", None)
    assert facts.chain == ["sft-s0", HUB] and facts.hub_base == HUB
    assert facts.hub_data == "openai/gsm8k" and facts.license == "apache-2.0"
    assert facts.data["tasks"] == "openai/gsm8k, 40 tasks of split train"
    assert facts.data["licence of the tasks"] == "mit" and facts.data["teacher"] == "annotated"
    assert facts.data["trajectories of the teacher"] == "30 verified"
    sft = read_facts(tmp_path / "sft-s0" / "model")
    assert sft.chain == [HUB] and sft.data["used"] == "30 trajectories" and sft.license is None
    assert NOT_STATED not in sft.data.values() and sft.results == []


def test_only_results_of_these_weights_count(tmp_path: Path):
    model = make_carded_run(tmp_path)
    rows = read_facts(model).results
    assert [(row["benchmark"], row["split"], row["domain"]) for row in rows] == [
        ("gsm8k", "test", "id"),
        ("gsm8k", "far", "ood"),
    ]
    (model / "model.safetensors").write_bytes(b"trained again")
    assert read_facts(model).results == []


def test_a_checkpoint_of_a_stage_that_runs_says_what_is_known(tmp_path: Path):
    make_carded_run(tmp_path)
    write_stage(tmp_path, "rl-flexible-s0", "rl", status="running", counts={})
    checkpoint = tmp_path / "rl-flexible-s0" / "checkpoints" / "step-00000003"
    make_model_folder(checkpoint / "model")
    facts = read_facts(checkpoint / "model")
    assert (facts.name, facts.step) == ("rl-flexible-s0-step-3", 3)
    assert facts.chain == ["sft-s0", HUB] and facts.summary == {}
    assert facts.data["used"] == "the stage has not said yet"


def test_the_setting_is_what_differs_from_the_defaults_without_folders_of_this_machine(tmp_path: Path):
    setting = read_facts(make_carded_run(tmp_path)).setting
    assert setting == [
        "tools=file",
        'tools.path="tools.py"',
        'model.system_prompt="Be brief, it\'s late."',
        "sampler.max_turns=4",
    ]


def test_a_point_of_a_sweep_has_the_rollout_of_the_run(tmp_path: Path):
    point = tmp_path / "run" / "sweeps" / "s1" / "seed=1" / "rl-flexible-s1"
    point.mkdir(parents=True)
    assert run_of(point) == tmp_path / "run"
    (point.parent / "rollout").mkdir()
    assert run_of(point) == point.parent


def test_a_folder_that_no_stage_made_has_no_card(tmp_path: Path):
    with pytest.raises(RunFolderError, match="has no config.yaml, so no stage made"):
        read_facts(make_model_folder(tmp_path / "other" / "model"))
