"""Sweeps for real: killed and gone on with, submitted through submitit, and chosen by optimising sweepers."""

import json
import os
import signal
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from mentor.cli import main
from mentor.sweeps.manifest import ManifestEntry, read_manifest
from tests.fixtures.wandb_files import wandb_records
from tests.integration.test_survival import count, has_ended, ids, start
from tests.integration.test_survival import until as until_within

until = partial(until_within, seconds=180)  # several commands start at once
QUIET = ["logger=quiet", "launcher.threads=1"]
TASKS = 3000
SIX = ["-m", "stage=rollout", f"task.size={TASKS}", "task.seed=0,1,2", "seed=0,1", "stage.concurrency=8", *QUIET]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sweep_folder() -> Path:
    (folder,) = Path("outputs/default/sweeps").iterdir()
    return folder


def states() -> list[ManifestEntry]:
    return list(read_manifest(sweep_folder()).values())


def by_status(status: str) -> list[str]:
    return [state.point for state in states() if state.status == status]


def rollout(point: str) -> Path:
    return sweep_folder() / point / "rollout"


def written(point: str) -> int:
    return count(rollout(point) / "trajectories.jsonl")


def pid(point: str) -> int:
    return json.loads((rollout(point) / "summary.json").read_text())["pid"]


def working() -> list[str]:
    """Points that have written some of their records."""
    if not list(Path("outputs/default/sweeps").glob("*/manifest.jsonl")):
        return []
    return [name for name in by_status("running") if written(name) > 20]


def working_in(folder: Path) -> list[int]:
    """The processes, this one aside, that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if (entry / "cwd").readlink() == folder and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


@pytest.mark.slow
def test_a_sweep_killed_twice_ends_complete_and_runs_nothing_twice(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """First one point is killed and the others go on; then the whole sweep is killed in the middle of others."""
    command = [*SIX, "launcher.jobs=2"]
    parent = start(command, tmp_path)
    until(lambda: len(working()) == 2)
    victim = working()[0]
    os.kill(pid(victim), signal.SIGKILL)
    until(lambda: victim in by_status("failed"))
    finished = len(by_status("done"))
    until(lambda: len(by_status("done")) > finished and any(written(name) < TASKS // 2 for name in working()))
    parent.kill()
    parent.communicate(timeout=60)
    until(lambda: not working_in(tmp_path))
    pids = {name: pid(name) for name in by_status("done")}
    cut = [state.point for state in states() if state.point not in (victim, *pids)]
    assert victim in by_status("failed")
    begun = {name: rollout(name) / "trajectories.jsonl" for name in cut if written(name)}
    kept = {name: path.read_text().splitlines(keepends=True) for name, path in begun.items()}
    assert kept and all(0 < len(lines) < TASKS for lines in kept.values())

    assert main(command) == 0
    said = capfd.readouterr().err
    assert len(by_status("done")) == 6
    assert said.count("done already") == len(pids) and {name: pid(name) for name in pids} == pids
    for name, lines in kept.items():
        whole = [json.loads(line)["task"]["id"] for line in lines if line.endswith("\n")]
        assert ids(rollout(name))[: len(whole)] == whole
        assert len(ids(rollout(name))) == len(set(ids(rollout(name)))) == TASKS
    rows = [json.loads(line) for line in (sweep_folder() / "manifest.jsonl").read_text().splitlines()]
    starts = Counter(row["point"] for row in rows if row["status"] == "running")
    assert starts == {name: 2 if name in (victim, *cut) else 1 for name in starts} and len(starts) == 6

    assert main(command) == 0
    assert capfd.readouterr().err.count("done already") == 6
    assert count(sweep_folder() / "manifest.jsonl") == len(rows)


@pytest.mark.slow
def test_a_signal_ends_every_point_and_the_sweep_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    size = f"task.size={TASKS}"
    command = ["-m", "stage=rollout", size, "seed=0,1", "stage.concurrency=8", *QUIET, "launcher.jobs=2"]
    parent = start(command, tmp_path)
    until(lambda: len(working()) == 2)
    busy, children = working()[0], [pid(name) for name in working()]
    for child in children:
        os.kill(child, signal.SIGSTOP)
    assert main(command) == 2, "the points are in use"
    assert capfd.readouterr().err.count("is in use by process") == 2
    assert len(by_status("running")) == 2, "what another process does is not noted as failed"
    for child in children:
        os.kill(child, signal.SIGCONT)
    parent.send_signal(signal.SIGINT)
    parent.communicate(timeout=60)
    assert parent.returncode == 130
    assert all(has_ended(child) for child in children) and len(by_status("failed")) == 2
    assert "stopped by SIGINT" in (sweep_folder() / busy / "output.log").read_text()
    kept = count(rollout(busy) / "trajectories.jsonl")
    assert main(command) == 0
    assert len(by_status("done")) == 2 and kept < count(rollout(busy) / "trajectories.jsonl") == TASKS


@pytest.mark.slow
def test_a_point_has_one_wandb_run_which_is_closed_when_it_is_stopped(tmp_path: Path):
    command = ["-m", "stage=rollout", "task.size=4000,3", "stage.concurrency=8", "logger.backends=[wandb]"]
    parent = start([*command, "launcher.threads=1", "launcher.jobs=2"], tmp_path)
    until(lambda: "task.size=4000" in working())
    os.kill(pid("task.size=4000"), signal.SIGTERM)
    parent.communicate(timeout=120)
    assert parent.returncode == 1 and by_status("failed") == ["task.size=4000"]
    for name, code in (("task.size=4000", 1), ("task.size=3", 0)):
        (path,) = rollout(name).glob("wandb/offline-run-*/*.wandb")
        by_kind = {record.WhichOneof("record_type"): record for record in wandb_records(path)}
        assert by_kind["exit"].exit.exit_code == code
        assert by_kind["run"].run.display_name == f"{name} rollout"
        assert by_kind["run"].run.run_group == f"default sweeps/{sweep_folder().name}"


def test_pipelines_make_what_they_share_once(capfd: pytest.CaptureFixture[str]):
    row = {"id": "1", "response": "\\boxed{2}<end>", "eos": "<end>", "ground_truth": "2", "teacher_tools": []}
    Path("rows.jsonl").write_text(json.dumps(row) + "\n")
    score = "'stage=score','stage.input=rows.jsonl','stage.output=scores-${seed}.jsonl'"
    steps = f"stage.steps=[['stage=rollout','seed=0'],[{score}]]"
    assert main(["-m", "stage=pipeline", steps, "task.size=3", "seed=0,1", *QUIET]) == 0
    assert capfd.readouterr().err.count("stage=rollout in outputs/default/rollout") == 1
    for name in ("seed=0", "seed=1"):
        assert rollout(name).is_symlink() and rollout(name).samefile("outputs/default/rollout")
    assert sorted(by_status("done")) == ["seed=0", "seed=1"]


def test_a_sweep_in_batches_stops_when_all_have_failed(capfd: pytest.CaptureFixture[str]):
    assert main(["-m", "stage=rollout", "task.size=0,3", *QUIET, "hydra.sweeper.max_batch_size=1"]) == 2
    assert "all 1 points failed: task.size=0" in capfd.readouterr().err
    assert by_status("failed") == ["task.size=0"] and len(states()) == 1


def test_optuna_is_told_the_headline_numbers():
    """The teacher solves all it is given, so the number is 1 whatever Optuna chooses; failed points reach it too."""
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    optuna = ["hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "hydra.sweeper.n_jobs=2"]
    command = ["-m", "stage=rollout", "task.size=range(3,6)", *QUIET, *optuna, "hydra.sweeper.n_trials=3"]
    assert main([*command, "hydra.sweeper.sampler.seed=1"]) == 0
    found = (sweep_folder() / "optimization_results.yaml").read_text()
    assert "best_value: 1.0" in found and "task.size" in found
    assert by_status("done") and not by_status("failed")


@pytest.mark.slow
def test_points_are_jobs_of_submitit_and_go_on_when_they_are_interrupted(tmp_path: Path):
    """submitit's own processes take the place of a cluster's; what Slurm sends before the time limit is sent to one."""
    pytest.importorskip("submitit")
    command = ["-m", "stage=rollout", "task.size=4000", "seed=0,1", "stage.concurrency=8", *QUIET]
    parent = start([*command, "launcher=slurm", "launcher.slurm.cluster=local", "launcher.slurm.gpus=0"], tmp_path)
    until(lambda: len(working()) == 2)
    name = working()[0]
    child = pid(name)
    job = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])  # its parent, submitit's process
    os.kill(job, signal.SIGUSR2)
    _, said = parent.communicate(timeout=300)
    assert parent.returncode == 0, said
    assert len(by_status("done")) == 2 and "points are jobs" in said
    assert pid(name) != child and has_ended(child)
    assert len(ids(rollout(name))) == len(set(ids(rollout(name)))) == 4000
