"""Training over two hosts that share only `outputs/`: the numbers of one host, and what is left when one dies."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from pathlib import Path

import pytest

from mentor.cli import main
from mentor.policy.checkpoint import latest_checkpoint
from tests.fixtures.installed import needs
from tests.fixtures.two_hosts import Host, two_hosts

pytestmark = [pytest.mark.slow, needs("deepspeed")]

STEPS = 6
COMMON = ["run=default", "debug=default", "logger=quiet", f"trainer.steps={STEPS}", "trainer.save_every=1"]
SFT = ["stage=sft", *COMMON, "trainer.batch_tokens=512"]
RL = ["stage=rl", *COMMON, "sampler=vllm", "sampler.deterministic=true"]
PORT = 29517


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a base that knows little and a teacher rollout."""
    folder = tmp_path_factory.mktemp("taught")
    steps = [["stage=pretrain", "trainer.steps=3", "stage.conversations=150"], ["stage=rollout", "task.size=12"]]
    with chdir(folder):
        assert main(["stage=pipeline", "run=default", "debug=default", f"stage.steps={steps}"]) == 0
    return folder


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Host]]:
    with two_hosts(tmp_path) as found:
        yield found


def by_keys(hosts: Sequence[Host], command: Sequence[str], cwd: Path) -> list[subprocess.Popen[str]]:
    shared = [*command, "trainer.nodes=2", f"launcher.master_addr={hosts[0].address}"]
    return [host.start([*shared, f"launcher.node_rank={host.number}"], cwd) for host in hosts]


def by_torchrun(hosts: Sequence[Host], command: Sequence[str], cwd: Path) -> list[subprocess.Popen[str]]:
    run = ["--nnodes=2", "--nproc-per-node=1", f"--master-addr={hosts[0].address}", f"--master-port={PORT}"]
    mentor = ["-m", "mentor.cli", *command, "trainer.nodes=2"]
    return [host.start([*run, f"--node-rank={host.number}", *mentor], cwd, "torch.distributed.run") for host in hosts]


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    said = [process.communicate(timeout=900)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(said)
    return said


def metrics(folder: Path) -> list[dict[str, float]]:
    """What a run computed at each step; times and what follows from them are the machine's."""
    path = folder / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    return [{key: value for key, value in row.items() if not key.startswith(("time", "throughput"))} for row in rows]


def alike(found: list[dict[str, float]], wanted: list[dict[str, float]]) -> bool:
    return len(found) == len(wanted) == STEPS and all(
        row == pytest.approx(other, rel=1e-6, abs=1e-6, nan_ok=True) for row, other in zip(found, wanted, strict=True)
    )


def until(condition: Callable[[], object], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def one_host(command: Sequence[str], folder: Path) -> list[dict[str, float]]:
    """The metrics of the command on one host with two processes; `folder` is moved aside."""
    with chdir(folder.parents[2]):
        assert main([*command, "trainer.num_processes=2"]) == 0
    found = metrics(folder)
    folder.rename(folder.with_name(f"one-host-{folder.name}"))
    return found


def kill_one(hosts: Sequence[Host], processes: Sequence[subprocess.Popen[str]], dead: int, folder: Path) -> str:
    """Kill all of a host after the second step; returns what the other says, which ends within a minute."""
    until(lambda: len(metrics(folder)) >= 2 or processes[1 - dead].poll() is not None)
    hosts[dead].kill()
    killed = time.monotonic()
    _, said = processes[1 - dead].communicate(timeout=120)
    assert time.monotonic() - killed < 60, said
    assert processes[1 - dead].returncode not in (0, None), said
    assert not hosts[1 - dead].running()
    found = latest_checkpoint(folder / "checkpoints")
    assert found is not None and 1 <= found[0] < STEPS
    return said


def test_two_hosts_compute_what_one_does_and_go_on_after_the_first_died(taught: Path, hosts: list[Host]):
    """The host of the store and of the run's folder is killed; the other names it and ends at once. torchrun starts
    the same command again."""
    command, folder = [*SFT, "trainer/deepspeed=zero2"], taught / "outputs" / "default" / "sft-s0"
    wanted = one_host(command, folder)
    said = kill_one(hosts, by_keys(hosts, command, taught), 0, folder)
    line = next(line for line in said.splitlines() if "resumes it" in line)
    assert re.fullmatch(r"mentor: stage=sft: node 0 \(.+\) has gone in phase [\w ]+: its store .*; .*resumes it", line)
    assert "what its ranks say: " in said and (folder / "logs" / "node-1.log").is_file()
    assert "resuming after step" in finish(by_torchrun(hosts, command, taught))[0]
    assert alike(metrics(folder), wanted)
    assert not list(folder.glob(".*.partial")) and json.loads((folder / "summary.json").read_text())["status"] == "done"


def test_another_command_on_the_second_host_is_refused_there_and_on_the_first(taught: Path, hosts: list[Host]):
    shared = [*SFT, "seed=3", "trainer/deepspeed=zero2", "trainer.nodes=2"]
    shared += [f"launcher.master_addr={hosts[0].address}", "launcher.master_port=29600"]
    first, second = (
        host.start(
            [*shared, f"launcher.node_rank={host.number}", f"trainer.learning_rate={1 + host.number}e-3"], taught
        )
        for host in hosts
    )
    lines = [process.communicate(timeout=300)[1].splitlines()[-1] for process in (first, second)]
    assert first.returncode == second.returncode == 2
    assert all(
        re.search(r"node 1 \(.+\) was given another .*trainer\.learning_rate: 0\.001 -> 0\.002", x) for x in lines
    )
    assert not (taught / "outputs" / "default" / "sft-s3").exists()


def test_submitit_starts_the_nodes_of_a_point(taught: Path):
    """Its local executor, with a task for each node."""
    pytest.importorskip("submitit")
    command = [*SFT, "trainer/deepspeed=zero2", "seed=5", f"init={taught / 'outputs/default/pretrain-s0/model'}"]
    nodes = ["launcher=slurm", "launcher.slurm.cluster=local", "launcher.slurm.nodes=2", "trainer.nodes=2"]
    with chdir(taught):
        assert main(["-m", *command, *nodes, "launcher.slurm.gpus=0"]) == 0
        assert main(["-m", *command, "trainer.nodes=2"]) == 2, "without a cluster"
    (folder,) = (taught / "outputs" / "default" / "sweeps").glob("*/*/sft-s5")
    assert len(metrics(folder)) == STEPS and (folder / "logs" / "node-1.log").is_file()


@pytest.fixture(scope="module")
def able(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `taught`, with a base that is right sometimes."""
    folder = tmp_path_factory.mktemp("able")
    with chdir(folder):
        assert main(["stage=pretrain", "run=default", "debug=default"]) == 0
        assert main(["stage=rollout", "run=default", "debug=default"]) == 0
    return folder


@pytest.mark.proof
@pytest.mark.parametrize("start", [by_keys, by_torchrun])
@pytest.mark.parametrize("zero", ["zero2", "zero3"])
@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_every_way_computes_what_one_host_does_and_goes_on(able: Path, hosts: list[Host], stage, zero, start):
    """The second host is killed. The run resumes on two hosts, and then on one."""
    if stage == "rl":
        pytest.importorskip("vllm")
    seed = 10 + 4 * (stage == "rl") + 2 * (zero == "zero3") + (start is by_torchrun)
    command = [*(SFT if stage == "sft" else RL), f"trainer/deepspeed={zero}", f"seed={seed}"]
    command += [f"init={able / 'outputs/default/pretrain-s0/model'}"]
    folder = able / "outputs" / "default" / (f"sft-s{seed}" if stage == "sft" else f"rl-flexible-s{seed}")
    wanted = one_host(command, folder)
    said = kill_one(hosts, start(hosts, command, able), 1, folder)
    name = r"node 1 \(.+\)" if start is by_keys else r"rank 1 of 2 \(.+\)"
    assert re.search(rf"{name} gave no sign of life for 3\d s in phase [\w ]+; running it again resumes it", said)
    finish(start(hosts, command, able))
    assert alike(metrics(folder), wanted)
    kept = sorted((folder / "checkpoints").iterdir())
    for path in (kept[-1], folder / "model", folder / "summary.json"):  # as if it had been killed before the last step
        subprocess.run(["rm", "-r", path], check=True)
    with chdir(able):
        assert main([*command, "trainer.num_processes=2"]) == 0
    assert alike(metrics(folder), wanted)
