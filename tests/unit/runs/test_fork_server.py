"""The server forks only where a fork can work, and its imports leave it so."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mentor.conf_dir import conf_dir
from mentor.runs import fork_server
from mentor.runs.fork_server import NUMBER, Request, _receive, _take_descriptors, can_fork
from mentor.runs.start import IMPORTED

IMPORTS = f"""
import os, torch
def refuse(*args): raise AssertionError("this initialises CUDA")
torch.cuda.is_available = torch.cuda._lazy_init = torch.cuda.init = refuse
from importlib import import_module
for module in {IMPORTED}: import_module(module)
from mentor.runs.fork_server import can_fork
print(can_fork(), len(os.listdir("/proc/self/task")))
"""


def test_after_its_imports_it_can_fork():
    """Also where OpenBLAS has started threads: each of its copies starts one less than OMP_NUM_THREADS."""
    environment = {**os.environ, "PYTHONPATH": str(conf_dir().parent), "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", IMPORTS], env=environment, capture_output=True, text=True)
    assert done.stdout == "True 1\n", done.stderr


def test_a_process_with_threads_or_cuda_does_not_fork(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fork_server, "_threads", lambda: 1)
    monkeypatch.setattr(fork_server, "_open_files", lambda: ["/dev/null", "/dev/nvidiactl"])
    assert can_fork()
    monkeypatch.setattr(fork_server, "_open_files", lambda: ["/dev/null", "/dev/nvidia-uvm"])
    assert not can_fork()
    monkeypatch.undo()
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    assert not can_fork()
    release.set()
    thread.join()


def test_open_files_are_those_of_this_process(tmp_path: Path):
    with (tmp_path / "x").open("w"):
        assert str(tmp_path / "x") in fork_server._open_files()
    assert str(tmp_path / "x") not in fork_server._open_files()


def test_a_request_arrives_whole_with_its_descriptors(tmp_path: Path):
    with (tmp_path / "x").open("w") as file:
        request = Request("module", ["a"], {"A": "ä" * 50_000}, "/", 18, [file.fileno()])
        ours, theirs = socket.socketpair()
        with ours, theirs:
            sender = threading.Thread(target=request.send, args=[ours, [file.fileno()]])
            sender.start()
            found, fds = _receive(theirs)
            sender.join()
        assert found == request and os.path.samestat(os.fstat(fds[0]), os.fstat(file.fileno()))
        os.close(fds[0])


@pytest.mark.parametrize("sent", [b"", b"\0", NUMBER.pack(10) + b"{}"])
def test_a_requester_that_goes_away_in_between_is_an_end(sent: bytes):
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(sent)
        with pytest.raises(EOFError):
            _receive(theirs)


def test_descriptors_take_their_numbers_whatever_these_were_and_all_others_are_closed(tmp_path: Path):
    """In a fork, which would close this process's descriptors. The numbers of the two are swapped."""
    names = []
    for name in "ab":
        (tmp_path / name).write_text(name)
        names.append(os.open(tmp_path / name, os.O_RDONLY))
    a, b = names
    pid = os.fork()
    if pid == 0:
        try:
            _take_descriptors([a, b], [b, a])
            right = os.read(b, 9) == b"a" and os.read(a, 9) == b"b"
            kept = {int(entry) for entry in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{entry}")}
            os._exit(0 if right and kept == {0, a, b} else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(a)
    os.close(b)
