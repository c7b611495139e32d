"""The benchmark of the sandbox runs and measures what it says."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from mentor.tools import Toolset
from scripts import bench_sandbox

SCRIPT = Path(bench_sandbox.__file__)


def test_clients_are_counted():
    assert asyncio.run(bench_sandbox.rate(Toolset.builtin("calculator"), True, 0.2, 2)) > 50


@pytest.mark.parametrize("argument", ["--rounds=0", "--seconds=0", "--calls=0", "--workers=0"])
def test_a_measurement_of_nothing_is_refused(argument: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        bench_sandbox.main(["server.py", argument])
    assert "is not accepted; accepted: a " in capsys.readouterr().err


@pytest.mark.slow
def test_it_compares_with_a_server(shared):
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    command = [sys.executable, str(SCRIPT), str(shared / "bench" / "released_sandbox.py")]
    command += ["--rounds", "1", "--seconds", "0.5", "--calls", "100"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.splitlines()
    assert [line[:17].strip() for line in shown] == [
        "released",
        "stateless",
        "sessions",
        "cpython",
        "cpython sessions",
    ]
    ratio = {line[:17].strip(): float(line.split("x")[-1].split()[0]) for line in shown}
    assert ratio["stateless"] > 3 and ratio["sessions"] > 1
