"""The server over scripted turns, asked in its own event loop."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from mentor.environment import Environment, RolloutLimits
from mentor.environment.environment import Begin
from mentor.errors import SamplerError
from mentor.sampling.sampler import Completion
from mentor.serving.http_server import ChatServer, Serving
from mentor.tools import Toolbox, Toolset
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.rollouts import END, call

QUESTION = [{"role": "user", "content": "What is 2 plus 3?"}]
PATH = "/v1/chat/completions"


class Recording(RecordingSampler):
    """Keeps the ids of each request as well."""

    def add_request(self, session: str, token_ids: Any, params: Any) -> None:
        self.asked = [*getattr(self, "asked", []), (list(token_ids), params)]
        super().add_request(session, token_ids, params)


def serve(
    chat: Any,
    script: dict[str, list[str]],
    use: Callable[[httpx.AsyncClient], Awaitable[None]],
    limits: RolloutLimits | None = None,
    delays: dict[str, int] | None = None,
    **serving: Any,
) -> Recording:
    sampler = Recording(chat, script, delays)
    with Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, limits or RolloutLimits()) as environment:
        server = ChatServer(environment, Serving("student", **serving))

        async def ask(begin: Begin) -> None:
            transport = httpx.ASGITransport(server.app(begin), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
                await use(client)

        environment.run_open(ask)
    return sampler


def body(messages: Any = QUESTION, **more: Any) -> dict[str, Any]:
    return {"model": "student", "messages": messages, **more}


def tools_of(name: str = "calculator") -> Any:
    return list(Toolset.builtin(name).schemas)


def test_the_loop_runs_the_tools_and_shows_its_steps(chat):
    async def use(client: httpx.AsyncClient) -> None:
        reply = (await client.post(PATH, json=body())).json()
        message = reply["choices"][0]["message"]
        assert message["content"] == "It is 5." and reply["choices"][0]["finish_reason"] == "stop"
        turn, result = message["mentor"]["steps"]
        assert turn["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 2, "b": 3}'}
        assert result["content"] == "5" and result["tool_call_id"] == turn["tool_calls"][0]["id"]
        assert reply["usage"]["total_tokens"] == sum(list(reply["usage"].values())[:2])

    serve(chat, {"0": [call() + END, "It is 5." + END]}, use)


def test_a_turn_comes_back_to_the_student_as_it_sampled_it(chat):
    odd = '<tool_call>\n{"name":"add","arguments":{"a":2,   "b":3}}\n</tool_call>'
    seen: list[list[int]] = []

    async def use(client: httpx.AsyncClient) -> None:
        for changed in (False, True):
            reply = (await client.post(PATH, json=body(tools=tools_of(), return_token_ids=True))).json()
            turn = reply["choices"][0]["message"]
            assert reply["choices"][0]["finish_reason"] == "tool_calls" and turn["content"] is None
            seen.append(turn["mentor"]["token_ids"])
            if changed:
                turn["tool_calls"][0]["function"]["arguments"] = '{"a": 2, "b": 4}'
            result = {"role": "tool", "tool_call_id": turn["tool_calls"][0]["id"], "content": "5"}
            await client.post(PATH, json=body([*QUESTION, turn, result], tools=tools_of()))

    sampler = serve(chat, {"0": [odd + END], "1": ["Done." + END], "2": [odd + END], "3": ["Done." + END]}, use)
    same, changed = sampler.asked[1][0], sampler.asked[3][0]
    assert same[: len(seen[0])] == seen[0] and "<tool_response>\n5\n" in chat.decode(same[len(seen[0]) :])
    assert changed[: len(seen[1])] != seen[1] and '"b": 4' in chat.decode(changed)


def test_earlier_turns_are_rendered_as_a_task_has_them_and_results_are_cut_once(chat):
    long = "7 " * 60
    script = {"0": [call() + END, "It is 5." + END], "1": ["It is 6." + END]}

    async def use(client: httpx.AsyncClient) -> None:
        answer = (await client.post(PATH, json=body())).json()["choices"][0]["message"]
        steps = answer["mentor"]["steps"]
        steps[1]["content"] = chat.truncate(long, 10)
        further = [*QUESTION, *steps, answer, {"role": "user", "content": "And 1 more?"}]
        assert (await client.post(PATH, json=body(further))).status_code == 200

    sampler = serve(chat, script, use, RolloutLimits(max_result_tokens=10))
    assert f"<tool_response>\n{chat.truncate(long, 10)}\n" in chat.decode(sampler.asked[2][0])


def test_limits_are_said_with_their_status(chat):
    async def use(client: httpx.AsyncClient) -> None:
        async def status(**more: Any) -> tuple[int, str]:
            reply = await client.post(PATH, headers=headers, **more)
            return reply.status_code, reply.json()["error"]["message"]

        headers = {"authorization": "Bearer k"}
        assert (await client.post(PATH, json=body())).headers["www-authenticate"] == "Bearer"
        assert (await client.get("/v1/models", headers={"authorization": "Bearer kk"})).status_code == 401
        assert (await client.get("/health")).json() == {"status": "ok", "answering": 0}
        assert (await client.get("/v1/models/student", headers=headers)).json()["mentor"]["tools"] == tools_of()
        assert (await client.get("/v1/completions", headers=headers)).json()["error"]["type"] == "invalid_request_error"
        assert (await status(json=body() | {"model": "x"}))[0] == 404
        assert (await status(content=b"{}"))[0] == 415
        assert (await status(json=body(tools=tools_of() * 3)))[0] == 413
        code, said = await status(json=body([{"role": "user", "content": "5 " * 900}]))
        assert code == 400 and said.startswith("the messages and tools are ") and said.endswith("max_tokens=700")
        several = await asyncio.gather(*(client.post(PATH, json=body(), headers=headers) for _ in range(3)))
        assert sorted(reply.status_code for reply in several) == [200, 200, 429]
        assert (await client.get("/health")).json()["answering"] == 0

    script = {str(i): ["It is 5." + END] for i in range(4)}
    serve(chat, script, use, RolloutLimits(max_tokens=700), key="k", at_once=2, body_bytes=2000)


def test_the_parameters_of_a_request_reach_the_sampler(chat):
    async def use(client: httpx.AsyncClient) -> None:
        for more in (
            {},
            {"temperature": 0.5, "seed": 4, "max_tokens": 7},
            {"temperature": 0.5, "seed": 4, "top_p": 0.5},
        ):
            await client.post(PATH, json=body(**more))

    sampler = serve(chat, {str(i): ["5" + END] for i in range(3)}, use, top_p=0.9, top_k=3)
    greedy, drawn, other = [params for _, params in sampler.asked]
    assert (greedy.temperature, greedy.top_p, greedy.top_k) == (0.0, 1.0, None)
    assert (drawn.temperature, drawn.top_p, drawn.top_k, drawn.max_tokens) == (0.5, 0.9, 3, 7)
    assert other.top_p == 0.5 and other.seed == drawn.seed != greedy.seed


def test_a_malformed_call_of_a_turn_is_its_text(chat):
    async def use(client: httpx.AsyncClient) -> None:
        choice = (await client.post(PATH, json=body(tools=tools_of()))).json()["choices"][0]
        assert choice["finish_reason"] == "stop" and "<tool_call>" in choice["message"]["content"]
        assert choice["message"]["mentor"]["stop_reason"] == "called" and "tool_calls" not in choice["message"]

    serve(chat, {"0": ["<tool_call>\n{nonsense\n</tool_call>" + END]}, use)


def test_a_stream_gives_steps_then_the_answer(chat):
    async def use(client: httpx.AsyncClient) -> None:
        text = (await client.post(PATH, json=body(stream=True))).text
        *events, done = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
        deltas = [json.loads(event)["choices"][0]["delta"] for event in events]
        steps = [step for delta in deltas for step in delta.get("mentor", {}).get("steps", ())]
        assert done == "[DONE]" and [step["role"] for step in steps] == ["assistant", "tool"]
        assert [delta["content"] for delta in deltas if delta.get("content")] == ["It is 5."]
        text = (await client.post(PATH, json=body(stream=True, tools=tools_of()))).text
        assert '"tool_calls": [{"index": 0, ' in text and '"finish_reason": "tool_calls"' in text

    serve(chat, {"0": [call() + END, "It is 5." + END], "1": [call() + END]}, use)


def test_a_client_that_goes_ends_its_episode(chat):
    sampler = Recording(chat, {"0": [call() + END, "never"], "1": ["It is 5." + END]}, {"0": 50})
    statuses: list[int] = []

    async def send(event: Any) -> None:
        statuses.extend([event["status"]] if "status" in event else [])

    with Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, RolloutLimits()) as environment:
        server = ChatServer(environment, Serving("student"))

        async def ask(begin: Begin) -> None:
            app = server.app(begin)
            for leaves in (True, False):
                events: list[Any] = [{"type": "http.request", "body": json.dumps(body()).encode(), "more_body": False}]

                async def receive(events: list[Any] = events, leaves: bool = leaves) -> Any:
                    if not events and not leaves:
                        await asyncio.sleep(60)
                    return events.pop(0) if events else {"type": "http.disconnect"}

                headers = [(b"content-type", b"application/json")]
                await app({"type": "http", "method": "POST", "path": PATH, "headers": headers}, receive, send)
            while sampler.busy:
                await asyncio.sleep(0)

        environment.run_open(ask)
    assert statuses == [499, 200]
    assert [session for session, _ in sampler.order] == ["0", "1"] and sorted(sampler.finished) == ["0", "1"]


def test_a_sampler_that_fails_ends_the_server(chat):
    class Failing(RecordingSampler):
        def step(self) -> list[Completion]:
            raise SamplerError("the engine died")

    async def use(begin: Begin) -> None:
        await asyncio.sleep(60)

    toolbox = Toolbox(Toolset.builtin("calculator"))
    with Environment(Failing(chat, {}), toolbox, chat, RolloutLimits()) as environment:
        server = ChatServer(environment, Serving("student"))

        async def ask(begin: Begin) -> None:
            transport = httpx.ASGITransport(server.app(begin))
            async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
                await client.post(PATH, json=body())

        with pytest.raises(SamplerError, match="the engine died"):
            environment.run_open(ask)
