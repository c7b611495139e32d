"""Which caveats follow from what a run holds."""

from pathlib import Path

from mentor.reporting import collect
from tests.fixtures.run_folder import write_stage


def test_alarms_and_single_seeds_are_cautions(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    for seed in (0, 1):
        write_stage(root, f"rl-flexible-s{seed}", "rl", seed=seed, git_commit="a" * 40)
    counts = {"alarms": {"alarm/all_fail": 12, "alarm/zero_variance": 0, "alarm/new": 1}}
    write_stage(root, "rl-strict-s0", "rl", counts=counts, git_commit="a" * 40)
    caveats = collect(root, "t").caveats
    assert caveats[0] == "One training seed only for rl-strict: no ranking of these follows from this run."
    assert caveats[1].startswith(
        "rl-strict-s0: an alarm was on in 12 steps (alarm/all_fail): most of the advantage came"
    )
    assert caveats[2] == "rl-strict-s0: an alarm was on in 1 step (alarm/new)."
    assert len(caveats) == 3
