"""The whole check: without a GPU it says so, and with torch and transformers alone it runs as far as these reach."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scripts.gpu_check import every_part
from tests.fixtures.bare_site import make_bare_site

ROOT = Path(__file__).parents[4]
TINY = ["--shape", "tiny", "--updates", "1", "--tokens", "128", "--length", "32"]
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@no_gpu
def test_without_a_gpu_it_says_so(capsys):
    assert every_part.main([]) == 1
    assert "there is no GPU here, so nothing was measured" in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["--updates=0", "--tokens=-1", "--length=0", "--seconds=0"])
def test_a_measurement_of_nothing_is_refused(argument, capsys):
    with pytest.raises(SystemExit, match="2"):
        every_part.main(["--shape=tiny", argument])
    assert "accepted: a " in capsys.readouterr().err


@no_gpu
def test_a_check_without_any_part_is_no_success(tmp_path, capsys):
    assert every_part.main([*TINY, "--folder", str(tmp_path), "--part", "nothing"]) == 1
    assert "CPU" in capsys.readouterr().out


@no_gpu
def test_a_part_for_which_no_time_is_left_is_listed_as_not_run(tmp_path, capsys):
    assert every_part.main([*TINY, "--folder", str(tmp_path), "--part", "head", "--seconds", "1"]) == 0
    (part,) = json.loads((tmp_path / "gpu_check.json").read_text())["parts"]
    assert (part["status"], part["reason"]) == ("not run", "no time was left")
    assert "no time was left" in (tmp_path / "gpu_check.md").read_text()


@pytest.mark.slow
@no_gpu
def test_torch_and_transformers_are_enough(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{make_bare_site(site)}:{ROOT}", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-S", "-m", "scripts.gpu_check.every_part", *TINY, "--folder", str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    parts = json.loads((tmp_path / "gpu_check.json").read_text())["parts"]
    assert [part["status"] for part in parts] == ["ok"] * 6 + ["not run"] * 5
    assert "pydantic_monty" in parts[-1]["reason"] and parts[6]["reason"] == "not installed: deepspeed"


@pytest.mark.proof
@no_gpu
def test_every_part_runs_on_a_cpu(tmp_path):
    """Also vLLM and a run of `mentor` that is killed, which take most of the time."""
    for package in ("deepspeed", "peft", "vllm"):
        pytest.importorskip(package)
    assert every_part.main([*TINY, "--folder", str(tmp_path), "--seconds", "1500"]) == 0
    parts = json.loads((tmp_path / "gpu_check.json").read_text())["parts"]
    assert [part["status"] for part in parts] == ["ok"] * 11
