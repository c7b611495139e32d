"""scripts/prove_resume.py: a proof that would prove nothing fails; its comparisons see a lost or doubled record."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from scripts import prove_resume


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--record-kills=1"], "--record-kills 1 does not kill each of 4 stages once; accepted: 0, or 4 and more"),
        (["--record-kills=3", "--kills=3"], "--record-kills 3 does not kill each of 4 stages once"),
        (["--kills=0", "--rank-kills=0", "--record-kills=0"], "are all 0, so nothing would be proven"),
        (["--kills=-1"], "accepted: a whole number of 0 or more"),
    ],
)
def test_a_proof_of_nothing_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        prove_resume.main(arguments)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("kills", range(4, 30))
def test_every_record_kill_is_spent_and_every_stage_is_killed(kills: int):
    shares = prove_resume.split(kills)
    assert sum(shares) == kills and min(shares) >= 1 and max(shares) - min(shares) <= 1


def test_a_run_without_an_optimiser_step_or_a_checkpoint_proves_nothing(tmp_path: Path):
    metrics, summary = tmp_path / "metrics.jsonl", tmp_path / "summary.json"
    metrics.write_text(json.dumps({"policy/updates": 0.0, "time/step_s": 1.0}) + "\n")
    with pytest.raises(SystemExit, match="no optimiser step was taken"):
        prove_resume.optimiser_steps(tmp_path)
    metrics.write_text(2 * (json.dumps({"policy/updates": 2.0}) + "\n"))
    assert prove_resume.optimiser_steps(tmp_path) == 4.0
    summary.write_text(json.dumps({"counts": {"first_step": 1}}))
    with pytest.raises(SystemExit, match="no command resumed from a checkpoint"):
        prove_resume.refuse_from_scratch(tmp_path)
    summary.write_text(json.dumps({"counts": {"first_step": 4}}))
    assert prove_resume.refuse_from_scratch(tmp_path) == 4


def test_lost_and_doubled_records_are_seen():
    rows = [b'{"step": 1}\n', b'{"step": 2}\n']
    prove_resume.refuse_lost(Path("m"), [Counter(rows[:1]), Counter(rows)], Counter(rows))
    with pytest.raises(SystemExit, match="m: 1 records of kill 2 differ"):
        prove_resume.refuse_lost(Path("m"), [Counter(rows[:1]), Counter(rows)], Counter(rows[:1]))
    prove_resume.refuse_doubled(Path("m"), rows)
    with pytest.raises(SystemExit, match="m: 2 records of step 2, 1 expected"):
        prove_resume.refuse_doubled(Path("m"), [*rows, rows[1]])


def test_weights_and_states_are_told_apart(tmp_path: Path):
    for name, value in (("one", 1.0), ("other", 1.5)):
        (tmp_path / name).mkdir()
        save_file({"w": torch.tensor([0.0, value])}, tmp_path / name / "model.safetensors")
    assert prove_resume.distance(tmp_path / "one", tmp_path / "other") == 0.5
    state = {"w": torch.zeros(2), "step": [1, None]}
    assert prove_resume.digest(state) == prove_resume.digest({"w": torch.zeros(2), "step": [1, None]})
    assert prove_resume.digest(state) != prove_resume.digest({"w": torch.zeros(2, 1), "step": [1, None]})
    with pytest.raises(SystemExit, match="weights: aaa and bbb differ"):
        prove_resume.compare("weights", "aaa", "bbb")


def test_a_failed_command_is_no_finished_one(tmp_path: Path):
    killer = prove_resume.Killer(tmp_path, seed=0)
    with pytest.raises(SystemExit, match="stage=nonsense ended with [1-9]"):
        killer.finish("stage=nonsense")
