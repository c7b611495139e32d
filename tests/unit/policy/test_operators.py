"""Operators that DeepSpeed compiles, after a process that was killed while it compiled them."""

import subprocess
import sys

import pytest

from mentor.policy.operators import operators_folder

pytest.importorskip("deepspeed")

BUILD = "from mentor.policy.deepspeed_policy import import_deepspeed; import_deepspeed()\n" + (
    "from mentor.policy.operators import build_cpu_adam; build_cpu_adam()"
)


@pytest.mark.slow
def test_the_lock_of_a_killed_build_does_not_stop_the_next():
    left = operators_folder() / "cpu_adam" / "lock"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    built = subprocess.run([sys.executable, "-c", BUILD], capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stderr
    assert list(left.parent.glob("*.so")) and not left.exists()
