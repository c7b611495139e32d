"""Processes that meet, here threads of one: they agree on a stage, and what ends one ends all by name."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mentor.errors import ConfigError, StageError
from mentor.runs import meeting as module
from mentor.runs.meeting import EndedElsewhere, Failure, Meeting
from mentor.runs.seat import Seat

HOST = socket.gethostname()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"EVERY_S": 0.05, "SILENT_S": 4.0, "COMING_S": 20.0, "LEAVING_S": 0.5}.items():
        monkeypatch.setattr(module, name, seconds)


def all_at_once(*functions: Callable[[], Any]) -> list[Any]:
    """What each function returns or raises, run in threads."""
    found: list[Any] = [None] * len(functions)

    def run(index: int) -> None:
        try:
            found[index] = functions[index]()
        except Exception as error:
            found[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def three() -> Iterator[list[Meeting]]:
    port = free_port()
    seats = [Seat(index, 3, "127.0.0.1", port) for index in range(3)]
    meetings = all_at_once(*(lambda seat=seat: Meeting(seat) for seat in seats))
    yield meetings
    all_at_once(*(meeting.leave for meeting in meetings))


def test_the_first_says_how_a_stage_starts_and_what_it_has_given(three):
    for how in ({"resumed": True}, None):
        for meeting in reversed(three):  # the first waits for all
            meeting.begin({"trainer": {"steps": 4}, "launcher": {"node_rank": meeting.seat.index}})
        if how is not None:
            three[0].start(how)
            assert all_at_once(three[1].hear_start, three[2].hear_start) == [how, how]
        three[0].done({"value": 3})
        if how is None:
            assert all_at_once(three[1].hear_start, three[2].hear_start) == [None, None]
        assert all_at_once(three[1].hear_result, three[2].hear_result) == [{"value": 3}] * 2
    assert three[0].keys != Meeting.keys and len({meeting.keys for meeting in three}) == 1


def test_another_configuration_is_refused_by_key(three):
    three[1].begin({"trainer": {"steps": 4}})
    three[2].begin({"trainer": {"steps": 5}})
    with pytest.raises(ConfigError, match=rf"node 2 \({HOST}\) was given another .* \(trainer\.steps: 4 -> 5\)"):
        three[0].begin({"trainer": {"steps": 4}})
    three[0].fail(Failure(2, "refused"))
    heard = all_at_once(three[1].hear_start, three[2].hear_start)
    assert all(isinstance(error, EndedElsewhere) and error.exit_code == 2 for error in heard)
    assert "refused" in str(heard[0])


def test_a_killed_rank_is_to_blame_for_the_failures_that_follow_from_it(three):
    killed = Failure(1, "rank 2 of 6 was ended by SIGKILL in phase update", "its stack", at=9.0, killed=True)
    broken = Failure(1, None, "Connection closed by peer\n", at=8.0)
    found = all_at_once(
        lambda: three[0].settle(broken),
        lambda: (three[1].failing(), time.sleep(0.5), three[1].settle(killed))[-1],
        lambda: three[2].settle(broken),
    )
    assert {entry.cause for entry in found} == {f"node 1 ({HOST}): {killed.cause}"}
    assert {entry.report for entry in found} == {"its stack"}


def test_what_all_say_alike_has_no_cause(three):
    same = Failure(2, None, "mentor: the same everywhere\n")
    assert [entry.cause for entry in all_at_once(*(lambda m=m: m.settle(same) for m in three))] == [None] * 3


def test_one_that_fell_silent_is_to_blame_with_its_phase(three):
    three[2].report("rollout")
    time.sleep(0.5)
    three[2]._told.set()  # its thread stops, as that of a process which was killed
    began = time.monotonic()
    found = all_at_once(
        lambda: three[0].settle(Failure(1, None, "Connection closed by peer")), lambda: until_told(three[1])
    )
    assert time.monotonic() - began < 10
    for failure in found:
        assert failure.cause.startswith(f"node 2 ({HOST}) gave no sign of life for 4 s in phase rollout")


def until_told(meeting: Meeting) -> Failure:
    while (cause := meeting.cause()) is None:
        time.sleep(0.02)
    return cause


def test_without_the_first_the_others_end_and_name_it(three):
    three[0].report("save")
    time.sleep(0.5)
    three[0]._told.set()
    time.sleep(0.2)
    three[0]._held = three[0]._store = three[0]._session = None  # the store goes with it
    for meeting in three[1:]:
        assert until_told(meeting).cause.startswith(f"node 0 ({HOST}) ")
        assert "in phase save" in meeting.cause().cause


def test_one_that_never_comes_is_missed_in_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "COMING_S", 1.0)
    with pytest.raises(StageError, match=r"not all 2 processes came to 127\.0\.0\.1:\d+ within 1 s"):
        Meeting(Seat(0, 2, "127.0.0.1", free_port()))


def test_a_port_that_is_taken_is_refused():
    taken = pytest.raises(ConfigError, match=r"port \d+ of this machine is in use")
    with socket.create_server(("", 0)) as server, taken:
        Meeting(Seat(0, 2, "127.0.0.1", server.getsockname()[1]))
