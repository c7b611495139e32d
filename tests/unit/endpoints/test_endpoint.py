"""mentor/endpoints/endpoint.py against real HTTP: faults are retried and counted, waits are kept, spending is bounded.

The client is the real one; the endpoint is a server of this process, a proxy in front of it spoils what it should.
"""

import asyncio
import json
import time
from contextlib import contextmanager

import pytest

from mentor.endpoints.endpoint import FAILURES_IN_A_ROW, Endpoint, RequestFailed, Spending, asked_wait
from mentor.endpoints.request_store import RequestStore
from mentor.endpoints.spending import NoMoreRequests
from mentor.errors import StageError
from mentor.tasks.calculator import generate
from tests.fixtures.faulty_proxy import FAULTS, FaultyProxy
from tests.fixtures.openai_server import OracleServer, Server, completion

TASKS = generate("train", 12, 3, 0)
SECRET = "sk-very-secret-0123456789"


@contextmanager
def endpoint(folder, base_url, caps=(None, None, 0.0, 0.0), **changes):
    settings = {
        "base_url": base_url,
        "model": "oracle",
        "api_key": SECRET,
        "temperature": 0.5,
        "top_p": None,
        "max_tokens": 64,
        "seed": 3,
        "extra_body": {},
        "concurrency": 4,
        "timeout_s": 5.0,
        "max_retries": 2,
        "max_retry_s": 20.0,
    }
    spending = Spending("teacher", *caps)
    with RequestStore(folder, spending.count) as store:
        yield Endpoint(store, spending, section="teacher", **(settings | changes))


def complete(asked, questions, sample=0, return_exceptions=False):
    """The answers to one-message conversations, all asked for at once."""

    async def all_of_them():
        async with asked:
            requests = [asked.complete([{"role": "user", "content": text}], [], sample) for text in questions]
            return await asyncio.gather(*requests, return_exceptions=return_exceptions)

    return asyncio.run(all_of_them())


def answering(status, content=b"{}", **headers):
    return Server(lambda handler, body: handler.reply(status, content, **headers))


def test_what_is_sent_and_what_is_kept(tmp_path):
    with OracleServer(TASKS) as server, endpoint(tmp_path, server.base_url, extra_body={"top_k": 5}) as asked:
        (record,) = complete(asked, [TASKS[0].question], sample=2)
    (body,) = server.bodies
    assert body == {
        "model": "oracle",
        "messages": [{"role": "user", "content": TASKS[0].question}],
        "temperature": 0.5,
        "max_tokens": 64,
        "seed": 5,
        "top_k": 5,
    }
    assert server.keys == {f"Bearer {SECRET}"}
    assert record["message"]["tool_calls"] and record["finish_reason"] == "stop" and record["model"] == "oracle"
    assert record["usage"] == {"prompt_tokens": 100, "completion_tokens": 20, "estimated": False}
    assert json.loads((tmp_path / "answers.jsonl").read_text()) == record


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_retried_and_counted_by_its_kind(tmp_path, kind):
    with (
        OracleServer(TASKS) as server,
        FaultyProxy(server.base_url, 1.0, faults=[kind], stall_s=1.0) as proxy,
        endpoint(tmp_path, proxy.base_url, timeout_s=0.6 if kind == "stall" else 20.0) as asked,
    ):
        with pytest.raises(RequestFailed, match=f"^{kind}: ") as failure:
            complete(asked, [TASKS[0].question])
        assert failure.value.reason == "request_failed"
        assert asked.store.faults == {kind: 3} and proxy.given[kind] == 3 and server.hashes == []


def test_a_body_that_drips_is_a_stall(tmp_path):
    def drip(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(30):
            handler.wfile.write(b" ")
            time.sleep(0.1)

    began = time.monotonic()
    with Server(drip) as server, endpoint(tmp_path, server.base_url, timeout_s=0.6, max_retries=0) as asked:
        with pytest.raises(RequestFailed, match="stall"):
            complete(asked, ["q"])
        assert time.monotonic() - began < 2.5


def test_an_address_without_a_server_is_a_connection_fault(tmp_path):
    with Server(lambda handler, body: None) as server:
        gone = server.base_url
    with endpoint(tmp_path, gone, max_retries=1) as asked, pytest.raises(RequestFailed, match="connection"):
        complete(asked, ["q"])


def test_an_error_in_a_body_that_claims_success_is_a_fault(tmp_path):
    with answering(200, b'{"error": {"message": "no provider"}}') as server:
        with endpoint(tmp_path, server.base_url) as asked, pytest.raises(RequestFailed, match="no provider"):
            complete(asked, ["q"])
        assert asked.store.faults == {"error_body": 3}


def test_retry_after_is_waited_for(tmp_path):
    with (
        OracleServer(TASKS) as server,
        FaultyProxy(server.base_url, 1.0, faults=["rate_limit"], retry_after="0.8") as proxy,
        endpoint(tmp_path, proxy.base_url, max_retries=1) as asked,
    ):
        with pytest.raises(RequestFailed):
            complete(asked, ["q"])
        assert proxy.times[1] - proxy.times[0] >= 0.8


def test_a_wait_longer_than_the_time_allowed_fails_at_once(tmp_path):
    began = time.monotonic()
    with (
        answering(429, Retry_After="1000") as server,
        endpoint(tmp_path, server.base_url, max_retries=9) as asked,
        pytest.raises(RequestFailed, match="rate_limit"),
    ):
        complete(asked, ["q"])
    assert time.monotonic() - began < 20 and asked.store.faults == {"rate_limit": 1}


def test_the_time_of_all_attempts_is_bounded(tmp_path):
    began = time.monotonic()
    with (
        answering(503) as server,
        endpoint(tmp_path, server.base_url, max_retries=1000, max_retry_s=1.5) as asked,
        pytest.raises(RequestFailed, match="server_error"),
    ):
        complete(asked, ["q"])
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_an_endpoint_that_would_refuse_everything_ends_the_stage_without_naming_the_key(tmp_path, status):
    said = json.dumps({"error": {"message": f"bad key {SECRET}"}}).encode()
    with answering(status, said) as server, endpoint(tmp_path, server.base_url) as asked:
        with pytest.raises(
            StageError, match=rf"teacher.model=oracle: refused with HTTP {status}: .*bad key \*\*\*"
        ) as error:
            complete(asked, ["q"])
        assert SECRET not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_refused_is_not_sent_again(tmp_path, status):
    with (
        answering(status, b'{"error": {"message": "too long"}}') as server,
        endpoint(tmp_path, server.base_url) as asked,
        pytest.raises(RequestFailed, match="too long") as failure,
    ):
        complete(asked, ["q"])
    assert failure.value.reason == "request_refused" and not asked.store.faults


def test_an_endpoint_that_stays_away_ends_the_stage(tmp_path):
    questions = [f"q{number}" for number in range(FAILURES_IN_A_ROW)]
    with answering(500) as server, endpoint(tmp_path, server.base_url, max_retries=0) as asked:
        errors = complete(asked, questions, return_exceptions=True)
    assert sum(isinstance(error, StageError) for error in errors) == 1
    assert sum(isinstance(error, RequestFailed) for error in errors) == FAILURES_IN_A_ROW - 1


def test_no_more_requests_are_in_flight_than_allowed(tmp_path):
    with OracleServer(TASKS, delay_s=0.1) as server, endpoint(tmp_path, server.base_url, concurrency=3) as asked:
        complete(asked, [task.question for task in TASKS])
    assert server.most_at_once == 3 and len(server.hashes) == len(TASKS)


@pytest.mark.parametrize(
    ("caps", "named"),
    [((360, None, 0, 0), "teacher.max_total_tokens=360"), ((None, 0.001, 2.0, 5.0), "teacher.max_cost=0.001")],
)
def test_a_cap_stops_requests_and_not_stored_answers(tmp_path, caps, named):
    questions = [task.question for task in TASKS]
    with OracleServer(TASKS) as server:
        with endpoint(tmp_path, server.base_url, caps, concurrency=1) as asked:
            outcomes = complete(asked, questions, return_exceptions=True)
            assert named in str(next(entry for entry in outcomes if isinstance(entry, NoMoreRequests)))
            answered = [
                question for question, entry in zip(questions, outcomes, strict=True) if isinstance(entry, dict)
            ]
            assert len(answered) == len(server.hashes) == (3 if caps[0] else 4)  # 120 tokens, or 0.0003, each
        with endpoint(tmp_path, server.base_url, caps) as asked:
            complete(asked, answered)
            assert len(server.hashes) == len(answered)


def test_a_stop_lets_requests_in_flight_end_and_stored_answers_be_used(tmp_path):
    questions = [task.question for task in TASKS[:3]]
    with OracleServer(TASKS, delay_s=0.3) as server, endpoint(tmp_path, server.base_url, concurrency=2) as asked:

        async def stopped():
            async with asked:
                calls = [asked.complete([{"role": "user", "content": text}], [], 0) for text in questions]
                flying = [asyncio.create_task(call) for call in calls]
                await asyncio.sleep(0.1)
                asked.stop("enough")
                outcomes = await asyncio.gather(*flying, return_exceptions=True)
                return [*outcomes, await asked.complete([{"role": "user", "content": questions[0]}], [], 0)]

        *answers, third, again = asyncio.run(stopped())
    assert [answer["message"]["role"] for answer in answers] == ["assistant"] * 2 and again == answers[0]
    assert isinstance(third, NoMoreRequests) and str(third) == "enough" and len(server.hashes) == 2


def test_a_message_that_no_request_could_hold_is_a_fault(tmp_path):
    content = completion({"role": "assistant", "content": "3", "score": float("nan")})
    with (
        answering(200, content) as server,
        endpoint(tmp_path, server.base_url, max_retries=0) as asked,
        pytest.raises(RequestFailed, match="malformed_body: a message with NaN"),
    ):
        complete(asked, ["q"])


def test_usage_is_estimated_where_an_endpoint_gives_none(tmp_path):
    content = completion({"role": "assistant", "content": "x" * 400}, usage=False)
    with answering(200, content) as server, endpoint(tmp_path, server.base_url) as asked:
        complete(asked, ["q" * 800])
    assert 200 < asked.spending.prompt_tokens < 240 and 100 < asked.spending.completion_tokens < 130
    assert asked.spending.counts()["estimated_usage"] == 1


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 15 Jan 2016 08:00:30 GMT"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "1.5s", "x-ratelimit-reset-tokens": "120ms"}, 1.5),
        ({"x-ratelimit-reset-requests": "1h", "x-ratelimit-remaining-requests": "9"}, None),
        ({"x-ratelimit-reset": str(NOW + 12)}, 12.0),
        ({"x-ratelimit-reset": str(int(NOW + 12) * 1000)}, 12.0),
        ({"x-ratelimit-reset": "later"}, None),
    ],
)
def test_the_wait_an_endpoint_asks_for(headers, seconds):
    assert asked_wait(headers, NOW) == (None if seconds is None else pytest.approx(seconds))
