"""The benchmark of the sandbox runs and measures what it says."""

import asyncio
import json
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
def test_it_compares_with_a_server(shared: Path, tmp_path: Path):
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    command = [
        sys.executable,
        str(SCRIPT),
        str(shared / "bench" / "released_sandbox.py"),
        "--json",
        str(tmp_path / "r"),
    ]
    command += ["--rounds", "1", "--seconds", "0.5", "--calls", "100"]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    (table,) = json.loads((tmp_path / "r").read_text())["tables"]
    ratios = {workload: ratio for workload, _, ratio, _ in table["rows"]}
    assert list(ratios) == ["released", "stateless", "sessions", "cpython", "cpython sessions"]
    assert ratios["released"] == 1 and ratios["stateless"] > 3 and ratios["sessions"] > 1
