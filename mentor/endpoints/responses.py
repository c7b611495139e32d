"""Read what an endpoint answers: assistant turns, and logprobs of a prompt's tokens. What cannot be read is a Fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mentor.jsonl import Record

CHARS_PER_TOKEN = 4  # where only the length of a text is known


class Fault(Exception):
    """One failed attempt: its kind, and how long the endpoint asks to wait (seconds, None where it does not)."""

    def __init__(self, kind: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.retry_after = kind, detail, retry_after


class Choice(NamedTuple):
    """The first choice of an answer, and the whole of it."""

    choice: Mapping[str, Any]
    answer: Mapping[str, Any]


Reader = Callable[[Choice, Mapping[str, Any]], Record]
"""Makes what is stored of an answer to a request's body. Raises Fault."""


def read_choice(content: bytes, one_line: Callable[[str], str]) -> Choice:
    """Read a response. one_line: makes a text fit for a message. Raises Fault for one without a choice."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        raise Fault("malformed_body", one_line(content[:200].decode(errors="replace"))) from None
    if not isinstance(answer, dict):
        raise Fault("malformed_body", f"a JSON {type(answer).__name__} instead of an object")
    if answer.get("error"):
        raise Fault("error_body", one_line(json.dumps(answer["error"])))
    if not answer.get("choices"):
        raise Fault("empty_choices", "a response without choices")
    choice = answer["choices"][0] if isinstance(answer["choices"], list) else None
    return Choice(choice if isinstance(choice, dict) else {}, answer)


def read_turn(found: Choice, body: Mapping[str, Any]) -> Record:
    """Read an assistant message: {message, finish_reason, model, usage}."""
    message = found.choice.get("message")
    if not isinstance(message, dict):
        raise Fault("malformed_body", "a choice without a message")
    try:
        json.dumps(message, allow_nan=False)
    except ValueError:
        raise Fault("malformed_body", "a message with NaN or an infinite number, which are not JSON") from None
    prompt = text_tokens([body["messages"], body.get("tools")])
    return {
        "message": message,
        "finish_reason": found.choice.get("finish_reason"),
        "model": found.answer.get("model"),
        "usage": _usage(found.answer.get("usage"), prompt, text_tokens(message)),
    }


def read_scores(found: Choice, body: Mapping[str, Any], places: Sequence[int], listed: int) -> Record:
    """Read the `prompt_logprobs` of vLLM's server at `places`: {logprobs, listed, usage}, rounded to 1e-6.

    Of each token of the prompt but the first it gives {id: {logprob, rank}} of that token and of the most likely ones.
    """
    ids, given = body["prompt"], found.choice.get("prompt_logprobs")
    if not isinstance(given, list) or len(given) != len(ids):
        raise Fault("malformed_body", "a choice without prompt_logprobs of every token")
    logprobs, lists = [], []
    try:
        for place in places:
            entry = {int(token): (float(said["logprob"]), said["rank"]) for token, said in given[place].items()}
            ranked = sorted((rank, token) for token, (_, rank) in entry.items())[:listed]
            logprobs.append(round(entry[ids[place]][0], 6))
            lists.append([[token, round(entry[token][0], 6)] for _, token in ranked])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Fault("malformed_body", f"prompt_logprobs that cannot be read at token {place}") from None
    usage = _usage(found.answer.get("usage"), len(ids), 1)
    return {"logprobs": logprobs, "listed": lists if listed else [], "usage": usage}


def _usage(given: Any, prompt: int, sampled: int) -> dict[str, Any]:
    """Return prompt and sampled tokens as the endpoint counts them, else the estimates."""
    counts = [given.get(key) for key in ("prompt_tokens", "completion_tokens")] if isinstance(given, dict) else []
    if counts and all(isinstance(count, int) and count >= 0 for count in counts):
        return {"prompt_tokens": counts[0], "completion_tokens": counts[1], "estimated": False}
    return {"prompt_tokens": prompt, "completion_tokens": sampled, "estimated": True}


def text_tokens(value: Any) -> int:
    """Estimate the tokens of a JSON value from its length."""
    return -(-len(json.dumps(value, ensure_ascii=False)) // CHARS_PER_TOKEN)
