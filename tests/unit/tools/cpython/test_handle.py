"""The program's side of a worker, against a socket that answers as no worker should."""

import json
import socket
import struct

import pytest

from mentor.tools.cpython.handle import WorkerHandle


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    handle = WorkerHandle(ours, supervised=True)  # nothing is stopped or continued
    with theirs:
        yield handle, theirs
        ours.close()


def frame(value) -> bytes:
    body = json.dumps(value).encode()
    return struct.pack("<I", len(body)) + body


def test_what_was_written_without_being_asked_is_refused(ends):
    handle, theirs = ends
    assert handle.silent and not handle.used
    theirs.sendall(frame({"id": 1, "kind": "ok", "text": "early"}))
    with pytest.raises(ValueError, match="without being asked"):
        handle.ask({}, 1.0, 1000)


def test_a_worker_that_says_nothing_or_is_gone(ends):
    handle, theirs = ends
    with pytest.raises(TimeoutError):
        handle.ask({}, 0.02, 1000)
    assert handle.used and json.loads(theirs.recv(100)[4:]) == {"id": 1}
    theirs.close()
    with pytest.raises(ValueError, match="is gone"):
        handle.ask({}, 1.0, 1000)


def test_a_process_that_does_not_come_up(ends):
    handle, theirs = ends
    theirs.sendall(b"p")
    with pytest.raises(ConnectionResetError, match=r"ended at its start \(1 bytes\)"):
        handle.wait_ready(1.0)
    theirs.close()
    handle.end()
