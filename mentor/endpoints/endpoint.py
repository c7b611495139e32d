"""Ask an OpenAI-compatible endpoint for assistant turns or logprobs, with retries, caps and a store of answers.

An answer that is in the store is not asked for again. Usage counts against the caps, failed attempts are counted by
kind. Streaming is not supported.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Self

import httpx
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from mentor import progress
from mentor.endpoints.request_store import RequestStore, request_key
from mentor.endpoints.responses import Fault, Reader, read_choice, read_scores, read_turn
from mentor.endpoints.spending import NoMoreRequests, Spending
from mentor.errors import ConfigError, StageError
from mentor.jsonl import Record

SHORTEST_SECRET = 8  # characters; a shorter key is no secret, and would be found in ordinary words
FAILURES_IN_A_ROW = 8  # requests that failed for good, none answered between them, before the stage stops
RETRIED = (408, 409, 425, 429)  # beside every 5xx
FATAL = (401, 402, 404)  # the next request would be refused as well

_backoff = wait_random_exponential(multiplier=0.5, max=30)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class RequestFailed(Exception):
    """A request that has no answer. `reason` is a slug to count by: request_failed (retried in vain) or refused."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Endpoint:
    """One model behind one address; use with `async with`. A request's key holds only what decides the answer.

    concurrency: requests in flight. timeout_s: of one attempt. max_retry_s: of all attempts at a request and the waits
    between them; the last attempt may end timeout_s later. Optional sampling settings are not sent when None.
    section: of the configuration, which errors name.
    """

    def __init__(
        self,
        store: RequestStore,
        spending: Spending,
        *,
        section: str,
        base_url: str,
        model: str,
        api_key: str | None,
        temperature: float | None,
        top_p: float | None,
        max_tokens: int | None,
        seed: int | None,
        extra_body: Mapping[str, Any],
        concurrency: int,
        timeout_s: float,
        max_retries: int,
        max_retry_s: float,
    ) -> None:
        self.store, self.spending, self.section = store, spending, section
        self.base_url, self.model, self.seed = base_url, model, seed
        sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        self._sampling = {key: value for key, value in sampling.items() if value is not None}
        self._extra_body = dict(extra_body)
        self._redact = redactor(api_key)
        self._client = AsyncOpenAI(base_url=base_url, api_key=api_key or "none", timeout=timeout_s, max_retries=0)
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout_s, self._max_retries, self._max_retry_s = timeout_s, max_retries, max_retry_s
        self._failed_in_a_row = 0
        self._stopped_by: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._client.close()

    def stop(self, why: str) -> None:
        """Send no further request; those in flight are answered and stored."""
        self._stopped_by = why

    async def complete(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], sample: int) -> Record:
        """Return the answer: {key, message, finish_reason, model, usage}. sample: number of the try, from 0.

        Raises RequestFailed, NoMoreRequests, and StageError where other requests would fail as well.
        """
        body: dict[str, Any] = {"model": self.model, "messages": messages, **self._sampling}
        if tools:
            body["tools"] = tools
        if self.seed is not None:
            body["seed"] = self.seed + sample
        body |= self._extra_body
        key = request_key(body, sample)
        return await self.store.answer(key, lambda: self._ask(key, "/chat/completions", body, read_turn))

    async def score(self, token_ids: Sequence[int], places: Sequence[int], listed: int) -> Record:
        """Return the logprobs of the tokens at `places`: {key, logprobs, listed, usage}.

        logprobs: of each place. listed: of each place the `listed` most likely tokens in its place with their logprobs,
        [[id, logprob], ...], the first one first. vLLM's server answers so; others do not know prompt_logprobs.
        Raises as `complete`.
        """
        body = {"model": self.model, "prompt": [*token_ids], "prompt_logprobs": listed, **self._sampling}
        key = request_key({**body, "places": [*places]}, 0)
        reader = partial(read_scores, places=places, listed=listed)
        return await self.store.answer(key, lambda: self._ask(key, "/completions", body, reader))

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """Return the text that vLLM's server makes of tokens. Raises StageError where it makes none."""
        url = f"{self.base_url.rstrip('/').removesuffix('/v1')}/detokenize"
        try:
            answer = await self._client.post(
                url, cast_to=httpx.Response, body={"model": self.model, "tokens": [*token_ids]}
            )
            return str(answer.json()["prompt"])
        except (APIError, ValueError, KeyError) as error:
            raise StageError(
                f"{self.section}.base_url={self.base_url} does not say how it spells tokens "
                f"({self._one_line(f'{type(error).__name__}: {error}')}); accepted: a server of vLLM"
            ) from None

    async def _ask(self, key: str, path: str, body: dict[str, Any], read: Reader) -> Record:
        """Send a request until an attempt succeeds."""
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(Fault),
            wait=_wait,
            stop=stop_after_attempt(self._max_retries + 1) | stop_before_delay(self._max_retry_s),
            reraise=True,
        )
        try:
            record: Record = await attempts(self._attempt, key, path, body, read)
        except Fault as fault:
            self._failed_in_a_row += 1
            detail = f"{fault.kind}: {fault.detail}"
            if self._failed_in_a_row >= FAILURES_IN_A_ROW:
                raise StageError(
                    f"{self.section}.base_url={self.base_url} has left {self._failed_in_a_row} requests in a row "
                    f"without an answer, retries included ({detail}); running the stage again resumes it"
                ) from None
            raise RequestFailed("request_failed", detail) from None
        self._failed_in_a_row = 0
        return record

    async def _attempt(self, key: str, path: str, body: dict[str, Any], read: Reader) -> Record:
        """Send a request once. Raises Fault, noted in the store, for a failure that a retry may mend."""
        async with self._slots:
            if self._stopped_by is not None:
                raise NoMoreRequests(self._stopped_by)
            self.spending.check()
            try:
                content = await self._send(path, body)
                return read(read_choice(content, self._one_line), body)
            except Fault as fault:
                self.store.note_fault(key, fault.kind, fault.detail)
                raise
            finally:
                progress.beat()

    async def _send(self, path: str, body: dict[str, Any]) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s):  # a body that drips never trips the client's own timeout
                response = await self._client.post(path, cast_to=httpx.Response, body=body)
        except (TimeoutError, APITimeoutError):
            raise Fault("stall", f"no whole answer within {self._timeout_s} s") from None
        except APIStatusError as error:
            raise self._refusal(error) from None
        except APIConnectionError as error:
            cause = type(error.__cause__).__name__
            kind = "cut_body" if cause in ("RemoteProtocolError", "ReadError", "DecodingError") else "connection"
            raise Fault(kind, self._one_line(f"{cause}: {error.__cause__}")) from None
        except APIError as error:
            raise Fault("malformed_body", self._one_line(str(error))) from None
        return response.content

    def _refusal(self, error: APIStatusError) -> Exception:
        status, said = error.status_code, self._one_line(error.response.text or error.message)
        detail = f"HTTP {status}: {said}"
        if status in RETRIED or status >= 500:
            kind = "rate_limit" if status == 429 else "server_error" if status >= 500 else f"http_{status}"
            return Fault(kind, detail, asked_wait(error.response.headers, time.time()))
        if status in FATAL or (status == 403 and not len(self.store)):
            return StageError(
                f"{self.section}.base_url={self.base_url} {self.section}.model={self.model}: refused with {detail}"
            )
        return RequestFailed("request_refused", detail)

    def _one_line(self, text: str) -> str:
        return " ".join(self._redact(text).split())[:300]


def redactor(secret: str | None) -> Any:
    """Return a function that replaces the secret in a text by `***`."""
    if secret is None or len(secret) < SHORTEST_SECRET:
        return lambda text: text
    return lambda text: text.replace(secret, "***")


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that an endpoint asks to wait, None where it asks for none in a form that can be read.

    Reads Retry-After (seconds or a date), else the x-ratelimit-reset headers of limits that are used up.
    now: unix seconds.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    given = headers.get("retry-after")
    if given is not None:
        seconds = _number(given)
        if seconds is None:
            try:
                seconds = max(0.0, parsedate_to_datetime(given).timestamp() - now)
            except ValueError:
                seconds = None
        if seconds is not None:
            return seconds
    waits = [
        _duration(headers[f"x-ratelimit-reset{part}"], now)
        for part in ("", "-requests", "-tokens")
        if f"x-ratelimit-reset{part}" in headers and headers.get(f"x-ratelimit-remaining{part}", "0") == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _duration(text: str, now: float) -> float | None:
    """Read `6m0s`, `120ms`, `1.5` (seconds), or a time in unix seconds or milliseconds."""
    number = _number(text)
    if number is not None:
        number = number / 1000 if number > 1e11 else number
        return max(0.0, number - now) if number > 1e9 else number
    parts = _DURATION.findall(text)
    return sum(float(value) * _UNITS[unit] for value, unit in parts) if parts else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _wait(state: RetryCallState) -> float:
    """Wait as long as the endpoint asks and a little longer, else exponential backoff with full jitter."""
    fault = state.outcome.exception() if state.outcome is not None else None
    if isinstance(fault, Fault) and fault.retry_after is not None:
        return fault.retry_after + random.uniform(0, 0.05 + 0.1 * fault.retry_after)
    return _backoff(state)


def api_key(variable: str | None, section: str) -> str | None:
    """Return the key from the environment. Raises ConfigError where the variable is not set."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"`{section}.api_key_env={variable}`: the environment has no such variable; set it to the endpoint's key, "
            f"or {section}.api_key_env=null for an endpoint that needs none"
        )
    return key
