"""Ask a chat server as a client does, without a socket: greedy conversations, with whoever runs the tools."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx

from mentor.environment.environment import Begin
from mentor.errors import SamplerError
from mentor.serving.http_server import ChatServer

RunCalls = Callable[[Sequence[tuple[str, dict[str, Any]]]], Awaitable[list[str]]]
"""Run the calls of a turn; returns their results."""


class InProcessClient:
    """Asks the application of a server whose environment is open. tools: that a request of the client's own lists."""

    def __init__(self, server: ChatServer, begin: Begin) -> None:
        self._model = server.serving.model
        key = server.serving.key
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._transport = httpx.ASGITransport(server.app(begin))

    async def ask(self, messages: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Return the message of a greedy reply, with its token record. Raises SamplerError for a refused request."""
        body = {"model": self._model, "messages": list(messages), "temperature": 0, "return_token_ids": True, **more}
        async with httpx.AsyncClient(transport=self._transport, base_url="http://in-process", timeout=None) as client:
            reply = await client.post("/v1/chat/completions", json=body, headers=self._headers)
        if reply.status_code != 200:
            raise SamplerError(f"the server refused a request: {reply.json()['error']['message']}")
        message: dict[str, Any] = reply.json()["choices"][0]["message"]
        return message

    async def converse(
        self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], run: RunCalls, turns: int
    ) -> tuple[dict[str, Any], list[str]]:
        """Ask with tools and run the calls on this side, for at most `turns` turns; return the last message and all
        results."""
        said, results = list(messages), list[str]()
        for _ in range(turns):
            message = await self.ask(said, tools=list(tools))
            calls = message.get("tool_calls")
            if not calls:
                break
            texts = await run([_call(call) for call in calls])
            results += texts
            answers = [
                {"role": "tool", "tool_call_id": call["id"], "content": text}
                for call, text in zip(calls, texts, strict=True)
            ]
            said += [{key: value for key, value in message.items() if key != "mentor"}, *answers]
        return message, results


def _call(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return call["function"]["name"], json.loads(call["function"]["arguments"])
