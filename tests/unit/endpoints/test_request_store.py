"""mentor/endpoints/request_store.py: nothing is asked twice, and an answer is on disk before it is used."""

import asyncio
import json
from collections import Counter

import pytest

from mentor.endpoints.endpoint import redactor
from mentor.endpoints.request_store import RequestStore, request_key

ANSWER = {"message": {"content": "ü"}, "usage": {}}


class Asked:
    """Something to ask, which counts how often it was."""

    def __init__(self, seconds=0.0, error=None):
        self.times, self.seconds, self.error = 0, seconds, error

    async def __call__(self):
        self.times += 1
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return dict(ANSWER)


def open_store(folder, counted=None, **options):
    return RequestStore(folder, (counted if counted is not None else []).append, **options)


def test_an_answer_is_asked_for_once_and_read_back_by_a_later_process(tmp_path):
    asked, counted, again = Asked(), [], []
    with open_store(tmp_path, counted) as store:
        first = asyncio.run(store.answer("a", asked))
        second = asyncio.run(store.answer("a", asked))
        asyncio.run(store.answer("b", asked))
        assert first == second == {"key": "a", **ANSWER}
        assert asked.times == 2 and store.replayed == 1 and len(store) == 2
    with open_store(tmp_path, again) as store:
        assert asyncio.run(store.answer("b", asked)) == {"key": "b", **ANSWER}
        assert asked.times == 2 and store.replayed == 1 and len(store) == 2
    assert counted == again and [record["key"] for record in again] == ["a", "b"]


def test_the_same_request_in_flight_is_joined(tmp_path):
    asked = Asked(seconds=0.05)

    async def both(store):
        return await asyncio.gather(*(store.answer("a", asked) for _ in range(5)))

    with open_store(tmp_path) as store:
        assert asyncio.run(both(store)) == [{"key": "a", **ANSWER}] * 5
    assert asked.times == 1
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 1


def test_an_error_reaches_all_who_wait_and_the_next_one_asks_again(tmp_path):
    broken = Asked(seconds=0.02, error=RuntimeError("no"))

    async def both(store):
        return await asyncio.gather(*(store.answer("a", broken) for _ in range(3)), return_exceptions=True)

    with open_store(tmp_path) as store:
        assert [str(error) for error in asyncio.run(both(store))] == ["no"] * 3
        assert broken.times == 1 and len(store) == 0
        asked = Asked()
        asyncio.run(store.answer("a", asked))
        assert asked.times == 1


def test_an_answer_is_on_disk_when_it_is_returned(tmp_path):
    with open_store(tmp_path) as store:
        asyncio.run(store.answer("a", Asked()))
        assert json.loads((tmp_path / "answers.jsonl").read_text()) == {"key": "a", **ANSWER}


def test_a_half_written_answer_is_dropped_and_asked_for_again(tmp_path):
    with open_store(tmp_path) as store:
        asyncio.run(store.answer("a", Asked()))
        asyncio.run(store.answer("b", Asked()))
    path = tmp_path / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    said, asked = [], Asked()
    with open_store(tmp_path, report=said.append) as store:
        asyncio.run(store.answer("a", asked))
        assert asked.times == 0
        asyncio.run(store.answer("b", asked))
        assert asked.times == 1
    assert "half-written" in said[0]
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b"]


def test_faults_are_counted_over_processes(tmp_path):
    for kinds in (["stall", "stall"], ["rate_limit"]):
        with open_store(tmp_path) as store:
            for kind in kinds:
                store.note_fault("a", kind, "why")
    assert store.faults == Counter(stall=2, rate_limit=1)


def test_a_secret_that_an_endpoint_echoes_is_not_stored(tmp_path):
    secret = "sk-123456789"

    async def echo():
        return {"message": {"content": f"your key is {secret}"}}

    with open_store(tmp_path, redact=redactor(secret)) as store:
        assert asyncio.run(store.answer("a", echo))["message"] == {"content": "your key is ***"}
        store.note_fault("a", "stall", f"with {secret}")
    assert all(secret not in path.read_text() for path in tmp_path.iterdir())
    assert "your key is ***" in (tmp_path / "answers.jsonl").read_text()


@pytest.mark.parametrize("change", [{"model": "n"}, {"messages": []}, {"tools": []}, {"temperature": 0}, {"seed": 2}])
def test_all_that_decides_an_answer_is_in_the_key(change):
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}], "tools": [1], "temperature": 1, "seed": 1}
    key = request_key(body, 0)
    assert request_key({**body, **change}, 0) != key != request_key(body, 1)
    assert request_key(dict(reversed(body.items())), 0) == key, "the order of keys decides nothing"
