"""A forked process is started as a new one is: environment, descriptors, signals, and what ends it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mentor.conf_dir import conf_dir
from mentor.lock import FolderLock
from mentor.runs import start
from mentor.runs.fork_server import NUMBER, Request
from mentor.runs.start import VARIABLE, ForkedProcess, Process, shared_fork_servers, start_process
from mentor.runs.watchdog import pipe_to_children

PROBE = "tests.fixtures.process_probe"


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No servers from outside, and none that imports anything."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(start, "IMPORTED", ())


@pytest.fixture
def servers(bare: None) -> Iterator[Path]:
    """The folder of this test's servers."""
    with shared_fork_servers():
        yield Path(os.environ[VARIABLE])


def probe(*arguments: str | Path, fds: list[int] | None = None, wait: bool = True, **variables: str) -> Process:
    environment = {**os.environ, "PYTHONPATH": str(conf_dir().parent), **variables}
    return start_process(PROBE, [str(argument) for argument in arguments], environment, fds or [], wait)


def test_it_is_as_a_new_process_is(bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o027)
    found = []
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # inherited, as `nohup` does with SIGHUP
    try:
        with FolderLock(tmp_path / "held") as lock, pipe_to_children() as watched:
            for forked in (False, True):
                if forked:
                    with shared_fork_servers():
                        probe("other", "tells").wait()  # another request, before
                        process = probe("file", "tells", fds=[lock.fd, watched], RANK="3", MINE="ü")
                        assert isinstance(process, ForkedProcess) and process.wait() == 7
                else:
                    process = probe("file", "tells", fds=[lock.fd, watched], RANK="3", MINE="ü")
                    assert isinstance(process, subprocess.Popen) and process.wait() == 7
                found.append(json.loads((tmp_path / "file").read_text()))
    finally:
        os.umask(before)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    new, forked_state = found
    assert forked_state == new
    assert new["environment"]["MINE"] == "ü" and VARIABLE not in new["environment"]
    assert new["folder"] == str(tmp_path) and new["umask"] == 0o027 and new["main"] == PROBE
    assert {0, 1, 2, lock.fd, watched} == set(new["descriptors"])
    assert capfd.readouterr().out == "to stdout\n" * 3


@pytest.mark.slow
def test_libraries_read_the_environment_of_their_own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Those that read it when they are imported: libgomp, torch and the hub's client."""
    monkeypatch.delenv(VARIABLE, raising=False)
    wanted = [
        {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "11", "HF_HUB_OFFLINE": "1"},
        {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "22", "HF_HUB_OFFLINE": "0"},
    ]
    with shared_fork_servers():
        for variables in [*wanted, wanted[0]]:
            process = probe(tmp_path / "file", "libraries", **variables)
            assert isinstance(process, ForkedProcess) and process.wait() == 0
            found = json.loads((tmp_path / "file").read_text())
            assert found["torch_threads"] == int(variables["OMP_NUM_THREADS"])
            assert found["offline"] == (variables["HF_HUB_OFFLINE"] == "1")
            assert variables.items() <= found["start"].items()
            assert found["sum"] == 999 * 500
        assert len(list(Path(os.environ[VARIABLE]).glob("*.lock"))) == 2, "one server for each environment"


def test_exit_codes_and_output_are_those_of_python(servers: Path, tmp_path: Path, capfd):
    assert probe(tmp_path / "x", "raises").wait() == 1
    said = capfd.readouterr().err
    assert said.startswith("Traceback") and said.endswith("ValueError: no such thing\n")
    assert probe(tmp_path / "x", "exits").wait() == 1
    assert capfd.readouterr().err == "said at the end\n"
    killed = waiting(tmp_path)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == killed.poll() == killed.returncode == -signal.SIGKILL
    killed.send_signal(signal.SIGKILL)  # no error, and nothing to reach


def waiting(folder: Path, watched: int | None = None) -> Process:
    """A forked process that waits, with a parent's pipe."""
    reading, writing = os.pipe()
    fd = reading if watched is None else watched
    process = probe(folder / f"pid{fd}", "waits", fd, fds=[fd])
    if watched is not None:
        os.close(writing)
    until(lambda: (folder / f"pid{fd}").is_file() and (folder / f"pid{fd}").read_text())
    assert (folder / f"pid{fd}").read_text() == str(process.pid) and process.poll() is None
    return process


def test_a_signal_reaches_one_fork_and_not_the_server(servers: Path, tmp_path: Path):
    first, second = waiting(tmp_path), waiting(tmp_path)
    first.send_signal(signal.SIGTERM)
    assert first.wait() == -signal.SIGTERM and second.poll() is None
    server = start._servers[servers][-1]
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):  # a cluster sends them to every process
        server.send_signal(signum)
    third = waiting(tmp_path)
    for process in (second, third):
        process.send_signal(signal.SIGINT)
        assert process.wait() == 1, "KeyboardInterrupt, as in a new process"
    assert server.poll() is None and len(start._servers[servers]) == 1


def test_a_fork_whose_requester_went_away_does_nothing(servers: Path, tmp_path: Path):
    """So that a stage is not done twice where the requester has given up and started a new process."""
    assert probe(tmp_path / "first", "tells").wait() == 7
    name = next(path.stem for path in servers.glob("*.lock"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(servers / name))
        request = Request(PROBE, [str(tmp_path / "file"), "tells"], dict(os.environ), str(tmp_path), 0o022, [1, 2])
        request.send(connection, [1, 2])
        pid = NUMBER.unpack(connection.recv(NUMBER.size))[0]
        assert Path(f"/proc/{pid}").exists()
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert not (tmp_path / "file").exists()


def test_it_ends_with_its_parent(servers: Path, tmp_path: Path):
    with pipe_to_children() as watched:
        process = waiting(tmp_path, watched)
    assert process.wait() == -signal.SIGTERM


def test_a_lock_is_free_once_the_fork_has_ended(servers: Path, tmp_path: Path):
    with FolderLock(tmp_path / "held") as lock:
        assert probe(tmp_path / "file", "tells", fds=[lock.fd]).wait() == 7
    with FolderLock(tmp_path / "held"):  # the server kept no descriptor of it
        assert start._servers[servers][-1].poll() is None


def test_a_server_that_dies_takes_its_forks_with_it_and_the_next_start_makes_another(servers: Path, tmp_path: Path):
    process = waiting(tmp_path)
    start._servers[servers][-1].kill()
    assert process.wait() == -signal.SIGKILL
    until(lambda: not Path(f"/proc/{process.pid}").exists())
    again = probe(tmp_path / "file", "tells")
    assert isinstance(again, ForkedProcess) and again.wait() == 7 and len(start._servers[servers]) == 2


def test_servers_end_with_their_owner(bare: None, tmp_path: Path):
    code = "import tests.unit.runs.test_start as t, os, time; t.own(os.environ['FILE'])"
    environment = {**os.environ, "PYTHONPATH": str(conf_dir().parent), "FILE": str(tmp_path / "server")}
    owner = subprocess.Popen([sys.executable, "-c", code], env=environment)
    until(lambda: (tmp_path / "server").is_file() and (tmp_path / "server").read_text())
    folder, pid = (tmp_path / "server").read_text().split()
    assert Path(f"/proc/{pid}").exists() and Path(folder).is_dir()
    owner.kill()
    owner.wait()
    until(lambda: not Path(folder).exists())


def own(file: str) -> None:
    """Start a server, say where, and wait to be killed."""
    start.IMPORTED = ()
    with shared_fork_servers():
        probe(f"{file}.probe", "tells").wait()
        Path(file).write_text(f"{os.environ[VARIABLE]} {start._servers[Path(os.environ[VARIABLE])][0].pid}")
        time.sleep(60)


def test_without_a_server_a_new_process_starts(bare: None, servers: Path, tmp_path: Path, monkeypatch):
    assert isinstance(probe(tmp_path / "a", "tells", wait=False), subprocess.Popen), "none is ready"
    assert probe(tmp_path / "a", "tells").wait() == 7
    forked = probe(tmp_path / "a", "tells", wait=False)
    assert isinstance(forked, ForkedProcess) and forked.wait() == 7
    monkeypatch.setattr(start, "IMPORTED", ("no.such.module",))
    new = probe(tmp_path / "a", "tells", OTHER="environment")
    assert isinstance(new, subprocess.Popen) and new.wait() == 7
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))
    assert isinstance(probe(tmp_path / "a", "tells"), subprocess.Popen)


def test_an_inner_context_uses_the_servers_of_the_outer(servers: Path):
    with shared_fork_servers():
        assert os.environ[VARIABLE] == str(servers)
    assert os.environ[VARIABLE] == str(servers) and servers.is_dir()
