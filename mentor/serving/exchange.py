"""One request while it is answered: its episode, and what it says as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any

from mentor.environment.environment import Begin
from mentor.environment.requests import RolloutRequest
from mentor.serving.replies import ReplyWriter, answer_of, finish_reason, usage_of
from mentor.types import Trajectory


class Exchange:
    """Runs an episode; `close` ends one that runs still. on_close: called once, when it has ended.

    with_ids: whether the reply has the token record. messages: said so far, in OpenAI's shape.
    """

    def __init__(
        self, begin: Begin, request: RolloutRequest, reply: ReplyWriter, with_ids: bool, on_close: Callable[[], None]
    ) -> None:
        self.request, self.reply, self.with_ids = request, reply, with_ids
        self.messages: list[dict[str, Any]] = []
        self._heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.episode = begin(request, self._heard.put_nowait)
        self._task = asyncio.create_task(self.episode.run())
        self._task.add_done_callback(lambda task: self._heard.put_nowait(None))
        self._on_close, self._closed = on_close, False

    async def next(self) -> dict[str, Any] | None:
        """Return the next message; None where the episode has ended. Raises what the episode raises."""
        message = await self._heard.get()
        if message is None:
            self._task.result()
            return None
        self.messages.append(self.reply.shown(message))
        return self.messages[-1]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._task.cancel()
            self._on_close()

    @property
    def trajectory(self) -> Trajectory:
        """The trajectory of an episode that has ended."""
        return self._task.result()

    @property
    def usage(self) -> dict[str, int]:
        return usage_of(self.trajectory)

    def answered(self) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
        """Return the message of the reply, the steps before it and the finish reason of an episode that has ended."""
        stop_reason = self.trajectory.stop_reason
        answer = answer_of(self.messages, stop_reason)
        steps = self.messages if answer is None else self.messages[:-1]
        message = answer or {"role": "assistant", "content": None}
        own: dict[str, Any] = {"stop_reason": stop_reason.value}
        if self.with_ids:
            assert self.trajectory.tokens is not None
            own |= asdict(self.trajectory.tokens)
        return {**message, "mentor": own}, steps, finish_reason(message, stop_reason)

    async def whole(self) -> dict[str, Any]:
        """Return the completion, once the episode has ended."""
        while await self.next() is not None:
            pass
        message, steps, finish = self.answered()
        if not self.request.one_turn:
            message["mentor"]["steps"] = steps
        return self.reply.completion(message, finish, self.usage)

    async def chunks(self, usage: bool) -> AsyncIterator[dict[str, Any]]:
        """Yield the chunks of a stream after the first message has come: a step when the next is there, then the reply.

        usage: whether a last chunk has it.
        """
        yield self.reply.chunk({"role": "assistant", "content": ""})
        shown = 0
        ended = False
        while not ended:
            ended = await self.next() is None
            steps = self.answered()[1] if ended else self.messages[:-1]
            if steps[shown:]:
                yield self.reply.chunk({"mentor": {"steps": steps[shown:]}})
                shown = len(steps)
        message, _, finish = self.answered()
        if calls := message.get("tool_calls"):
            message["tool_calls"] = [{"index": number, **call} for number, call in enumerate(calls)]
        yield self.reply.chunk({key: value for key, value in message.items() if key != "role"})
        yield self.reply.chunk({}, finish)
        if usage:
            yield self.reply.usage_chunk(self.usage)
