"""scripts/compare_rewards.sh and gsm8k.sh: what they refuse; tests/integration/test_scripts.py runs them."""

import subprocess

import pytest

from mentor.conf_dir import conf_dir

SCRIPTS = conf_dir().parent / "scripts"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["compare_rewards.sh", "run", " "], "SEEDS is blank, so nothing would be trained; usage: "),
        (["compare_rewards.sh", "run"], "usage: scripts/compare_rewards.sh RUN SEEDS"),
        (["gsm8k.sh", "train.jsonl", "test.jsonl", "run"], "usage: scripts/gsm8k.sh TRAIN TEST RUN RL_STEPS"),
    ],
)
def test_a_comparison_of_nothing_is_refused(command: list[str], said: str):
    name, *arguments = command
    found = subprocess.run([SCRIPTS / name, *arguments], capture_output=True, text=True)
    assert found.returncode != 0 and said in found.stderr
