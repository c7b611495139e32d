"""rl over two processes through the command: what hangs, dies or fails in one of them, and what is left of the run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from mentor.cli import main
from mentor.conf_dir import conf_dir
from mentor.policy.checkpoint import latest_checkpoint
from mentor.runs.start import VARIABLE
from tests.fixtures.installed import needs

pytestmark = [pytest.mark.slow, needs("deepspeed", "vllm")]

TWO = ["trainer/deepspeed=zero2", "trainer.num_processes=2", "sampler=vllm"]
SFT = ["stage=sft", "debug=default", "run=default", "logger=quiet", "trainer.save_every=1", "trainer.steps=2", *TWO[:2]]
RL = ["stage=rl", "debug=default", "run=default", "logger=quiet", "trainer.save_every=1", "trainer.steps=4", *TWO]
HANGS = "    while abs(a) % 5 > 2:\n        pass\n"


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a base, a teacher rollout, and a toolset of which `subtract` hangs for some numbers."""
    folder = tmp_path_factory.mktemp("taught")
    source = (conf_dir().parent / "mentor" / "tools" / "builtin" / "calculator.py").read_text()
    before, after = source.split("    return a - b\n")
    (folder / "tools.py").write_text(f"{before}{HANGS}    return a - b\n{after}")
    with chdir(folder):
        assert main(["stage=pretrain", "debug=default", "run=default"]) == 0
        assert main(["stage=rollout", "debug=default", "run=default"]) == 0
        hanging = ["tools=file", "tools.path=tools.py", "tools.timeout_s=0.3"]
        assert main(["stage=rollout", "debug=default", "run=hanging", *hanging]) == 0
    return folder


def start(command: list[str], cwd: Path, *path: Path) -> subprocess.Popen[str]:
    """A command whose ranks are new processes, its children, as those of a single stage are."""
    search = os.pathsep.join(map(str, (*path, conf_dir().parent)))
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE} | {"PYTHONPATH": search}
    return subprocess.Popen(
        [sys.executable, "-m", "mentor.cli", *command], cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True
    )


def rank(parent: subprocess.Popen[str], number: int) -> int:
    """The process id of one of a stage's processes."""
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    wanted = f"RANK={number}".encode()
    return next(int(pid) for pid in children if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))


def until(condition: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def steps(folder: Path) -> list[int]:
    path = folder / "metrics.jsonl"
    return [json.loads(line)["step"] for line in path.read_text().splitlines()] if path.is_file() else []


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.proof)])
def test_a_process_that_dies_or_stands_still_ends_the_run_by_name_and_the_run_goes_on(taught: Path, how: int):
    folder = taught / "outputs" / "default" / f"rl-{how}-s0"
    parent = start([*RL, f"name={how}", "launcher.stall_timeout_s=15"], taught)
    until(lambda: len(steps(folder)) >= 2 or parent.poll() is not None)
    os.kill(rank(parent, 1), how)
    began = time.monotonic()
    _, said = parent.communicate(timeout=90)
    assert time.monotonic() - began < 60
    assert parent.returncode == 1
    cause = "was ended by SIGKILL" if how == signal.SIGKILL else r"made no progress for 17 s"
    last = said.splitlines()[-1]
    assert re.fullmatch(rf"mentor: stage=rl: rank 1 of 2 {cause} in phase [\w ]+; .*resumes it", last)
    assert "mentor/stages/rl.py" in said, "the stack shows where it was"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "failed" and "rank 1 of 2" in summary["error"]
    found = latest_checkpoint(folder / "checkpoints")
    assert found is not None and found[0] >= 1
    if how == signal.SIGKILL:
        with chdir(taught):
            assert main([*RL, f"name={how}", "trainer.num_processes=1"]) == 0
        assert steps(folder) == [1, 2, 3, 4]


SLOW_DISK = """
import os, time
if os.environ.get("RANK") == "0":
    from mentor.policy import state
    save = state._save
    def slow(path, values):
        save(path, values)
        for _ in range(SECONDS if path.name == "meta.pt" else 0):
            with open(path.with_name("ballast"), "wb") as file:
                file.write(bytes(MIB * 2**20))
            time.sleep(1)
    state._save = slow
"""
"""Rank 0 writes so many MiB each second for so many seconds, without a beat."""


@pytest.mark.proof
@pytest.mark.parametrize(("seconds", "mib"), [(25, 4), (600, 0)])
def test_a_slow_checkpoint_is_waited_for_and_one_that_stands_still_ends_the_run(
    taught: Path, tmp_path: Path, seconds: int, mib: int
):
    (tmp_path / "sitecustomize.py").write_text(SLOW_DISK.replace("SECONDS", str(seconds)).replace("MIB", str(mib)))
    parent = start([*SFT, f"seed={mib}", "launcher.stall_timeout_s=10"], taught, tmp_path)
    began = time.monotonic()
    _, said = parent.communicate(timeout=300)
    if mib:
        assert parent.returncode == 0 and time.monotonic() - began > 2 * seconds, said
        return
    assert parent.returncode == 1
    assert re.search(r"rank 0 of 2 made no progress for \d+ s in phase save; .*resumes it$", said.splitlines()[-1])
    assert latest_checkpoint(taught / "outputs" / "default" / f"sft-s{mib}" / "checkpoints") is None


@pytest.mark.proof
@pytest.mark.parametrize(("ranks", "engines"), [(2, 1), (1, 2)])
def test_any_number_of_engines_of_their_own_gives_the_numbers_of_colocated_ones(taught: Path, ranks: int, engines: int):
    command = [*RL, "trainer.steps=2", f"trainer.num_processes={ranks}"]
    own = ["sampler.placement=separate", f"sampler.engines={engines}"]
    rows = {}
    for name, keys in ((f"of{ranks}", []), (f"on{engines}", own)):
        with chdir(taught):
            assert main([*command, f"name={name}", *keys]) == 0
        lines = (taught / "outputs" / "default" / f"rl-{name}-s0" / "metrics.jsonl").read_text().splitlines()
        rows[name] = [json.loads(line) for line in lines]
    colocated, separate = rows.values()
    assert len(separate) == 2 and separate[-1]["policy/updates"] > 0
    for one, other in zip(colocated, separate, strict=True):
        timed = [key for key in one if key == "time" or key.startswith(("time/", "throughput/"))]
        assert {**one, **dict.fromkeys(timed)} == pytest.approx({**other, **dict.fromkeys(timed)}, abs=1e-4)


@pytest.mark.proof
def test_a_tool_that_hangs_in_one_process_costs_its_timeout(taught: Path):
    """With ZeRO-3, where every push of weights is gathered by both processes at once, whenever their rollouts end."""
    command = [*RL, "run=hanging", "tools=file", "tools.path=tools.py", "tools.timeout_s=0.3", "trainer.steps=2"]
    command = [*command, "trainer/deepspeed=zero3", f"init={taught / 'outputs/default/pretrain-s0/model'}"]
    with chdir(taught):
        assert main(command) == 0
    rows = [json.loads(row) for row in (taught / "outputs/hanging/rl-flexible-s0/metrics.jsonl").open()]
    assert sum(row["rollout/call_timeout"] for row in rows) > 0, "no call hung, so nothing was shown"
    assert max(row["sync/canary_difference"] for row in rows) < 1e-3


@pytest.mark.proof
def test_an_engine_that_fails_in_the_middle_of_a_rollout_ends_the_run_by_name(taught: Path, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "if os.environ.get('RANK') == '1':\n"
        "    from vllm.v1.engine.core import EngineCore\n"
        "    step, count = EngineCore.step, [0]\n"
        "    def fails(self):\n"
        "        count[0] += 1\n"
        "        if count[0] == 40:\n"
        "            raise RuntimeError('the device is gone')\n"
        "        return step(self)\n"
        "    EngineCore.step = fails\n"
    )
    parent = start([*RL, "name=engine"], taught, tmp_path)
    _, said = parent.communicate(timeout=300)
    assert parent.returncode == 1
    lines = said.splitlines()
    assert "the device is gone" in lines[-2] and lines[-2].startswith("mentor: ")
    assert "rank 1 of 2 failed in phase rollout" in lines[-1]
