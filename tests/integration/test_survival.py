"""What ends a stage from outside: signals, a killed parent, a full disk, a folder that goes away. The records that were
written stay, one line says what happened, the exit code tells how, and the same command goes on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from mentor.cli import main
from mentor.conf_dir import conf_dir
from mentor.policy.checkpoint import latest_checkpoint

pytestmark = pytest.mark.slow

QUIET = ["logger=quiet", "launcher.threads=1"]
TOOLS = "12 tools of calculator in monty, isolation: interpreter"  # what a rollout says first
TASKS = 8000
ROLLOUT = ["stage=rollout", f"task.size={TASKS}", "stage.concurrency=8", *QUIET]
SFT_STEPS = 10
SFT = ["stage=sft", "debug=default", "run=default", f"trainer.steps={SFT_STEPS}", "trainer.save_every=1"]


@pytest.fixture
def rollout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rollout folder of an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs" / "default" / "rollout"


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a base and a teacher rollout."""
    folder = tmp_path_factory.mktemp("taught")
    with chdir(folder):
        assert main(["stage=pretrain", "debug=default", "run=default", "trainer.steps=5"]) == 0
        assert main(["stage=rollout", "debug=default", "run=default"]) == 0
    return folder


def start(command: list[str], cwd: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(conf_dir().parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(
        [sys.executable, "-m", "mentor.cli", *command], cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True
    )


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def count(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def ids(folder: Path) -> list[str]:
    return [json.loads(line)["task"]["id"] for line in (folder / "trajectories.jsonl").read_text().splitlines()]


def has_ended(pid: int) -> bool:
    """Gone, or dead and not yet collected by whoever inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_one_line_and_its_code(rollout: Path, tmp_path: Path, signum: int, code: int, capfd):
    parent = start(ROLLOUT, tmp_path)
    until(lambda: count(rollout / "trajectories.jsonl") > 20)
    assert main(ROLLOUT) == 2, "a second process on the same folder"
    assert re.fullmatch(r"mentor: \S+ is in use by process \d+; .*\n", capfd.readouterr().err)
    parent.send_signal(signum)
    _, said = parent.communicate(timeout=30)
    assert parent.returncode == code
    name = signal.Signals(signum).name
    assert said.splitlines() == [TOOLS, f"mentor: stopped by {name}; run the same command again to resume"]
    summary = json.loads((rollout / "summary.json").read_text())
    assert summary["status"] == "failed" and name in summary["error"]
    kept = ids(rollout)
    assert 20 <= len(kept) < TASKS

    assert main(ROLLOUT) == 0
    assert ids(rollout)[: len(kept)] == kept and len(set(ids(rollout))) == len(ids(rollout)) == TASKS


def test_a_killed_command_leaves_no_child_behind(rollout: Path, tmp_path: Path):
    parent = start(ROLLOUT, tmp_path)
    until(lambda: count(rollout / "trajectories.jsonl") > 20)
    child = json.loads((rollout / "summary.json").read_text())["pid"]
    parent.kill()
    _, said = parent.communicate(timeout=30)  # returns when the child, which holds stderr open, has ended
    assert parent.returncode == -signal.SIGKILL and "SIGTERM" in said
    until(lambda: has_ended(child), seconds=10)
    assert main(ROLLOUT) == 0
    assert len(set(ids(rollout))) == len(ids(rollout)) == TASKS


@pytest.mark.parametrize("step", [3, 7])
def test_a_base_killed_in_either_phase_is_made_as_if_it_had_not(rollout: Path, tmp_path: Path, step: int):
    phases = ["stage.shyness=0.8", "stage.shyness_steps=4", "trainer.steps=10", "trainer.save_every=1"]
    command = ["stage=pretrain", "debug=default", "stage.conversations=200", *phases, *QUIET]
    assert main([*command, "run=unbroken"]) == 0
    command.append("run=default")
    folder = rollout.parent / "pretrain-s0"
    parent = start(command, tmp_path)
    until(lambda: count(folder / "metrics.jsonl") >= step, seconds=300)
    os.kill(json.loads((folder / "summary.json").read_text())["pid"], signal.SIGKILL)
    parent.communicate(timeout=30)
    done = count(folder / "metrics.jsonl")
    assert done < 10 and (done <= 6) == (step == 3) and not (folder / "model").exists()
    assert main(command) == 0
    unbroken = rollout.parents[1] / "unbroken" / "pretrain-s0"
    weights = Path("model") / "model.safetensors"
    assert (folder / weights).read_bytes() == (unbroken / weights).read_bytes()


def delete(folder: Path) -> None:
    """Deletes again what a process that writes there put into the folder meanwhile."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def move(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")


@pytest.mark.parametrize("vanish", [delete, move])
def test_a_folder_that_vanishes_ends_the_stage(rollout: Path, tmp_path: Path, vanish: Callable[[Path], None]):
    parent = start(ROLLOUT, tmp_path)
    until(lambda: count(rollout / "trajectories.jsonl") > 20)
    vanish(rollout)
    _, said = parent.communicate(timeout=30)
    assert parent.returncode == 1
    tools, line = said.splitlines()
    assert tools == TOOLS and "was deleted or moved" in line
    assert not rollout.exists(), "nothing is made anew where it was"
    assert main(ROLLOUT) == 0 and len(ids(rollout)) == TASKS


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, str], None]]:
    """`mount(folder, size)` puts a disk of that size there, or resizes the one it put; skips where not permitted."""
    mounted: list[Path] = []

    def mount(folder: Path, size: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        options = f"remount,size={size}" if folder in mounted else f"size={size}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in set(mounted):
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_keeps_whole_records(rollout: Path, small_disk: Callable[[Path, str], None], capfd):
    small_disk(rollout, "300k")
    assert main(ROLLOUT) == 1
    said = capfd.readouterr().err
    tools, line = said.splitlines()
    assert tools == TOOLS and f"no space left on the device that holds {rollout.relative_to(Path.cwd())}" in line
    kept = [line for line in (rollout / "trajectories.jsonl").read_text().splitlines(keepends=True) if line[-1] == "\n"]
    assert 0 < len(kept) < TASKS
    small_disk(rollout, "100m")
    assert main(ROLLOUT) == 0
    assert len(set(ids(rollout))) == len(ids(rollout)) == TASKS


def test_a_disk_that_is_full_from_the_start(rollout: Path, small_disk: Callable[[Path, str], None], capfd):
    small_disk(rollout, "4k")
    (rollout / ".lock").write_text("0" * 4096)  # takes the only page there is
    assert main(ROLLOUT) == 1
    said = capfd.readouterr().err
    assert said.startswith("mentor: ") and "No space left on device" in said and said.count("\n") == 1


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    taught: Path, small_disk: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch, capfd
):
    """Of its last step's metrics, its checkpoint and W&B's files, any may be what no longer fits."""
    monkeypatch.chdir(taught)
    command = [*SFT, "logger.backends=[wandb]"]
    folder = taught / "outputs" / "default" / "sft-s0"
    small_disk(folder, "27m")  # two checkpoints of about 10 MB, and part of a third
    assert main(command) == 1
    said = capfd.readouterr().err
    assert "no space left on the device" in said and "Traceback" not in said
    found = latest_checkpoint(folder / "checkpoints")
    assert found is not None and found[0] >= 2
    assert not list((folder / "checkpoints").glob(".*partial"))
    steps = count(folder / "metrics.jsonl")
    assert steps >= found[0]

    small_disk(folder, "200m")
    assert main(command) == 0
    assert f"resuming after step {found[0]}" in capfd.readouterr().err
    rows = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows == list(range(1, SFT_STEPS + 1))
