"""The HTTP server: routes, authentication and limits, in the event loop of the environment that answers.

A request with `tools` is answered with one turn, whose calls the client runs; one without by the whole loop with the
run's own tools. All that are answered at once share the sampler. Each step of it holds the loop, so that other requests
are read between two steps.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mentor.environment import Environment, RolloutRequest, derive_seed
from mentor.environment.environment import Begin
from mentor.errors import InputError, MentorError, one_line
from mentor.serving.api_requests import BadRequest, ChatRequest, conversation, read_request
from mentor.serving.exchange import Exchange
from mentor.serving.replies import ReplyWriter, error_body, event
from mentor.serving.said_turns import SaidTurns
from mentor.types import StopReason, Task

LAST_REQUESTS_S = 10  # for those that are answered when the server is told to end

T = TypeVar("T")


class ApiError(Exception):
    """A request that is refused with an HTTP status."""

    def __init__(
        self, status: int, message: str, kind: str = "invalid_request_error", code: str | None = None, **extra: Any
    ) -> None:
        super().__init__(message)
        self.status, self.body, self.headers = status, error_body(message, kind, code), extra.get("headers")


class ClientGone(Exception):
    """The client closed its connection before it was answered."""


@dataclass(frozen=True)
class Serving:
    """What is served, and to whom.

    model: the name that requests give. key: what clients send as bearer token; None: nothing. at_once: requests that
    are answered or wait. body_bytes: of a request. temperature, top_p, top_k, seed: of a request that gives none;
    greedy: such a one is decoded greedily.
    """

    model: str
    key: str | None = None
    at_once: int = 64
    body_bytes: int = 2**20
    greedy: bool = True
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    seed: int = 0


class ChatServer:
    """Answers requests with the rollouts of an open environment."""

    def __init__(self, environment: Environment, serving: Serving) -> None:
        self.environment, self.serving = environment, serving
        self.said = SaidTurns()
        self.answered = 0
        self._at_once = 0
        self._numbers = count()
        self._begin: Begin

    def run(self, listening: socket.socket) -> None:
        """Answer what comes in at a socket until SIGINT or SIGTERM. Raises SamplerError where the sampler fails."""
        self.environment.run_open(lambda begin: self._serve(begin, listening))

    async def _serve(self, begin: Begin, listening: socket.socket) -> None:
        config = uvicorn.Config(
            self.app(begin),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=LAST_REQUESTS_S,
            server_header=False,
        )
        await _Server(config).serve(sockets=[listening])

    def app(self, begin: Begin) -> Starlette:
        """Build the application. begin: of the environment that runs."""
        self._begin = begin
        chat = "/v1/chat/completions"
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/v1/models", self._models),
                Route("/v1/models/{model:path}", self._model),
                Route(chat, self._chat, methods=["POST"]),
            ],
            exception_handlers={
                ApiError: _api_error,
                BadRequest: _bad_request,
                HTTPException: _http_error,
                ClientGone: _client_gone,
                Exception: _failure,
            },
        )

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "answering": self._at_once})

    async def _models(self, request: Request) -> Response:
        self._check_key(request)
        return JSONResponse({"object": "list", "data": [self._shown_model()]})

    async def _model(self, request: Request) -> Response:
        self._check_key(request)
        self._check_model(request.path_params["model"])
        return JSONResponse(self._shown_model())

    def _shown_model(self) -> dict[str, Any]:
        """The model, with the schemas of the run's own tools as its prompts show them."""
        default = self.environment.toolbox.default
        tools = json.loads(default.schemas_json) if default is not None else []
        own = {"tools": tools, "max_tokens": self.environment.limits.max_tokens}
        return {"id": self.serving.model, "object": "model", "created": 0, "owned_by": "mentor", "mentor": own}

    async def _chat(self, request: Request) -> Response:
        self._check_key(request)
        asked = read_request(await self._body(request))
        self._check_model(asked.model)
        if self._at_once >= self.serving.at_once:
            message = f"{self._at_once} requests are answered or wait, which is the most; try again later"
            raise ApiError(429, message, "rate_limit_error", "too_many_requests", headers={"Retry-After": "1"})
        exchange = self._exchange(asked)
        streams = False
        try:
            if await _unless_gone(request, exchange.next()) is None:
                assert exchange.trajectory.stop_reason is StopReason.LENGTH
                limit, tokens = self.environment.limits.max_tokens, exchange.usage["total_tokens"]
                message = f"the messages and tools are {tokens} tokens; accepted: fewer than sampler.max_tokens={limit}"
                raise ApiError(400, message, code="context_length_exceeded")
            if not asked.stream:
                completion = await _unless_gone(request, exchange.whole())
                self._remember(exchange)
                return JSONResponse(completion)
            streams = True
            usage = asked.stream_options is not None and asked.stream_options.include_usage
            return StreamingResponse(self._events(exchange, usage), media_type="text/event-stream")
        except BadRequest:
            raise
        except InputError as error:  # a template that refuses the conversation, tools that nothing can run
            raise BadRequest(one_line(error)) from None
        finally:
            if not streams:
                exchange.close()

    async def _events(self, exchange: Exchange, usage: bool) -> AsyncIterator[str]:
        try:
            async for chunk in exchange.chunks(usage):
                yield event(chunk)
            self._remember(exchange)
            yield "data: [DONE]\n\n"
        except Exception as error:
            yield event(error_body(one_line(error), "server_error"))
            raise
        finally:
            exchange.close()

    def _exchange(self, asked: ChatRequest) -> Exchange:
        request = self._rollout_request(asked)
        self._at_once += 1

        def closed() -> None:
            self._at_once -= 1

        try:
            return Exchange(self._begin, request, ReplyWriter.of(self.serving.model), asked.return_token_ids, closed)
        except BaseException:
            closed()
            raise

    def _rollout_request(self, asked: ChatRequest) -> RolloutRequest:
        own, number = self.serving, next(self._numbers)
        said = conversation(asked.messages)
        greedy = asked.temperature == 0 or (asked.temperature is None and own.greedy)
        temperature = own.temperature if asked.temperature is None else asked.temperature
        top_p = own.top_p if asked.top_p is None else asked.top_p
        drawn = (0.0, 1.0, None) if greedy else (temperature, top_p, own.top_k)
        seed = derive_seed(own.seed, f"request-{number}") if asked.seed is None else derive_seed(asked.seed)
        tools = asked.task_tools()
        earlier, begun = (tuple(map(self._as_in_training, part)) for part in (said.earlier, said.begun))
        task = Task(f"request-{number}", said.question, answer=(), toolset="", tools=tools, earlier=earlier)
        return RolloutRequest(task, seed, None, *drawn, begun, tools is not None, asked.turn_tokens)

    def _as_in_training(self, message: dict[str, Any]) -> dict[str, Any]:
        """Cut a result at the limit of training; give a turn that was sampled here its ids."""
        if message["role"] == "tool":
            limit = self.environment.limits.max_result_tokens
            return {**message, "content": self.environment.chat.truncate(message["content"], limit)}
        token_ids = self.said.recall(message) if message["role"] == "assistant" else None
        return message if token_ids is None else {**message, "token_ids": token_ids}

    def _remember(self, exchange: Exchange) -> None:
        self.answered += 1
        turn = exchange.messages[-1]
        if exchange.request.one_turn and turn.get("tool_calls"):
            said = exchange.episode.messages[-1]
            calls = [
                {**call, "id": given["id"]} for call, given in zip(said["tool_calls"], turn["tool_calls"], strict=True)
            ]
            self.said.keep({**said, "tool_calls": calls}, exchange.episode.turn)

    def _check_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if self.serving.key is not None and not hmac.compare_digest(
            given.encode(), f"Bearer {self.serving.key}".encode()
        ):
            message = "the API key is missing or wrong; accepted: the header `Authorization: Bearer <key>`"
            headers = {"WWW-Authenticate": "Bearer"}
            raise ApiError(401, message, "authentication_error", "invalid_api_key", headers=headers)

    def _check_model(self, name: str) -> None:
        if name != self.serving.model:
            raise ApiError(
                404, f"the model {name!r} is not here; accepted: {self.serving.model}", code="model_not_found"
            )

    async def _body(self, request: Request) -> bytes:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise ApiError(415, "the content type of the body is not known; accepted: application/json")
        body, limit = bytearray(), self.serving.body_bytes
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise ApiError(413, f"the body is longer than {limit} bytes (stage.max_body_kib)", code="too_long")
        return bytes(body)


class _Server(uvicorn.Server):
    """Ends at SIGINT and SIGTERM without raising them again: a server that was told to end has done what it should."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        wanted = (signal.SIGINT, signal.SIGTERM)
        before = {signum: signal.getsignal(signum) for signum in wanted}
        for signum in wanted:
            loop.add_signal_handler(signum, self.handle_exit, signum, None)
        try:
            yield
        finally:
            for signum, handler in before.items():
                loop.remove_signal_handler(signum)
                signal.signal(signum, handler)


async def _unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Await work, unless the client closes its connection before: ClientGone."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        watching.cancel()


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status, error.headers)


async def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    return JSONResponse(error_body(str(error), "invalid_request_error", param=error.param), 400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path} is not here; accepted: POST /v1/chat/completions, GET /v1/models"
    return JSONResponse(error_body(message, "invalid_request_error"), error.status_code, error.headers)


async def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


async def _failure(request: Request, error: Exception) -> Response:
    shown = one_line(error) if isinstance(error, MentorError) else "the server failed; its output says how"
    return JSONResponse(error_body(shown, "server_error"), 500)
