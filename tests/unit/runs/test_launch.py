"""A stage in its child: interruption, resume, and what a sweep's points are called. Uses the rollout stage for real."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mentor.cli import main
from mentor.conf_dir import conf_dir
from mentor.runs.sweep import point_name, sweep_id


def test_interrupt_reaches_the_child_and_the_stage_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    command = ["stage=rollout", "task.size=3000", "logger=quiet"]
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "default" / "rollout"
    parent = subprocess.Popen(
        [sys.executable, "-m", "mentor.cli", *command], env={**os.environ, "PYTHONPATH": str(conf_dir().parent)}
    )
    written = folder / "trajectories.jsonl"
    deadline = time.monotonic() + 60
    while (not written.exists() or written.stat().st_size < 2000) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert main(command) == 2, "the folder is in use"
    parent.send_signal(signal.SIGINT)
    assert parent.wait() == 130
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["status"], summary["error"]) == ("failed", "KeyboardInterrupt")
    kept = written.read_text().splitlines()[:-1]
    assert 0 < len(kept) < 3000

    assert main(command) == 0
    lines = written.read_text().splitlines()
    assert lines[: len(kept)] == kept and len(lines) == 3000
    assert json.loads((folder / "summary.json").read_text())["status"] == "done"


def test_point_names_are_folder_names_and_stay_apart():
    assert point_name("reward.weights.tool=0.1,seed=0", 4) == "reward.weights.tool=0.1,seed=0"
    assert point_name("", 4) == "point-4"
    odd = [point_name(text, 0) for text in ("init=/a/b", "init=/a_b", "init=" + "x" * 200, "init=" + "x" * 201)]
    assert len(set(odd)) == 4
    assert all("/" not in name and len(name) < 140 for name in odd)


def test_sweep_id_does_not_depend_on_order():
    assert sweep_id(["stage=rl", "seed=0,1"]) == sweep_id(["seed=0,1", "stage=rl"])
    assert sweep_id(["stage=rl", "seed=0,1"]) != sweep_id(["stage=rl", "seed=0,2"])
