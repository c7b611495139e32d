"""Operators that DeepSpeed compiles: after a process that was killed while it compiled them, and without a compiler."""

import subprocess
import sys
from pathlib import Path

import pytest

from mentor.errors import InputError
from mentor.policy.operators import build_cpu_adam, building_alone
from tests.fixtures.installed import needs

pytestmark = needs("deepspeed")


BUILD = "from mentor.policy.deepspeed_engine import import_deepspeed; import_deepspeed()\n" + (
    "from mentor.policy.operators import build_cpu_adam; build_cpu_adam()"
)


@pytest.mark.slow
def test_the_lock_of_a_killed_build_does_not_stop_the_next():
    with building_alone() as folder:  # a test beside this one may build, too
        left = folder / "cpu_adam" / "lock"
        left.parent.mkdir(parents=True, exist_ok=True)
        left.touch()
    built = subprocess.run([sys.executable, "-c", BUILD], capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stderr
    assert list(left.parent.glob("*.so")) and not left.exists()


def test_without_a_compiler_offload_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="no `no-such-compiler` is on PATH: install a C"):
        build_cpu_adam()
