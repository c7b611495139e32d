"""Certify a chat format: render every golden conversation and parse it back.

One check of the prompt. `tools`: the names of all tools and of their parameters stand in it.
Four checks of each conversation. `prefix`: the ids up to each turn begin with those up to the turn before (with
think_history=strip they equal those of a conversation whose earlier turns did not think), and are, thinking aside, what
the template renders for the conversation so far; a further question may begin other ids. `round_trip`: a rendered turn
parses to the calls, text and reasoning it was made of. `mask`: exactly the assistant turns are trained, each up to the
one token that ends a turn of its kind. `literal`: the question and tool results appear character for character, or as
one JSON string; white space around them may be trimmed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

from mentor.chat.format import ChatFormat
from mentor.chat.golden import CONVERSATIONS, LISTED, TOOLS, VERSION, GoldenConversation
from mentor.chat.parse import AssistantTurn
from mentor.errors import InputError
from mentor.types import Tokens

FILE = "chat_certificate.json"  # in a model folder that a training stage saved
PROMPT = "the tools of the prompt"
_MARK = "MENTORMARK"
_DONE: dict[str, Certificate] = {}  # of this process, by fingerprint


@dataclass(frozen=True)
class Check:
    """One property of one conversation; `reason` is empty where it holds."""

    conversation: str
    name: str
    reason: str = ""


@dataclass(frozen=True)
class Certificate:
    """What `certify` found. skipped: conversations that the template cannot hold, with what it lacks.

    thinking: `kept` or `stripped`, of an assistant turn. fingerprint: of the template and the tokenizer's tags.
    notes: what the template does otherwise than most, and is certified for. ends: the tokens that stop sampling,
    those of the template first. version: of the checks.
    """

    fingerprint: str
    syntax: str
    thinking: str
    checks: tuple[Check, ...]
    skipped: dict[str, str]
    notes: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    version: int = VERSION

    @property
    def failures(self) -> list[Check]:
        return [check for check in self.checks if check.reason]

    @property
    def passed(self) -> bool:
        return bool(self.checks) and not self.failures

    def to_dict(self) -> dict[str, Any]:
        return {"passed": self.passed, **asdict(self), "checks": [asdict(check) for check in self.checks]}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Certificate:
        """Raises KeyError or TypeError for a row that is no certificate."""
        checks = tuple(Check(**check) for check in row["checks"])
        known = (row["fingerprint"], row["syntax"], row["thinking"], checks, dict(row["skipped"]))
        return cls(*known, tuple(row.get("notes", ())), tuple(row.get("ends", ())), row.get("version", 1))


def stored_certificate(folder: Path) -> Certificate | None:
    """Read the certificate saved with a model, of the chat format that it was trained in; None without one."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Certificate.from_dict(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no certificate of a chat template; without the file it is made again") from error


def certify(chat: ChatFormat) -> Certificate:
    """Check every golden conversation that applies, once per process and fingerprint."""
    key = fingerprint(chat)
    if key not in _DONE:
        _DONE[key] = _certify(chat, key)
    return _DONE[key]


def fingerprint(chat: ChatFormat) -> str:
    """Hash what the certificate depends on, except the vocabulary: template, tags, thinking, version of the checks."""
    added = chat.tokenizer.added_tokens_decoder
    tags = sorted((number, token.content, token.special) for number, token in added.items())
    parts = [VERSION, chat.tokenizer.chat_template, chat.end_ids, chat.enable_thinking, chat.think_history, tags]
    parts += [chat.tokenizer.bos_token, chat.question_template, *([chat.system_prompt] if chat.system_prompt else [])]
    parts += [chat.syntax.name, chat.syntax.origin]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _certify(chat: ChatFormat, key: str) -> Certificate:
    checks, notes = _listed(chat)
    skipped: dict[str, str] = {}
    for conversation in CONVERSATIONS:
        lacks = [need for need in conversation.needs if not getattr(chat, need)]
        if lacks:
            skipped[conversation.name] = f"the format has no {', '.join(lacks)}"
            continue
        for name, check in CHECKS.items():
            try:
                reason = next(check(chat, conversation), "")
            except InputError as error:
                reason = str(error)
            checks.append(Check(conversation.name, name, reason))
    thinking = "kept" if chat.keeps_thinking else "stripped"
    ends = tuple(chat.decode([end]) for end in chat.end_ids)
    return Certificate(key, chat.syntax.name, thinking, tuple(checks), skipped, (*notes, *_trimmed(chat)), ends)


def _listed(chat: ChatFormat) -> tuple[list[Check], list[str]]:
    """Check what of the tools stands in the prompt; note where descriptions do not."""
    try:
        prompt = chat.decode(list(chat.prompt_ids("What is there?", json.dumps(LISTED))))
    except InputError as error:
        return [Check(PROMPT, "tools", str(error))], []
    functions = [tool["function"] for tool in LISTED]
    missing = [tool["name"] for tool in functions if tool["name"] not in prompt]
    named = [(tool["name"], name) for tool in functions for name in tool["parameters"]["properties"]]
    missing += [f"{name} of {tool}" for tool, name in named if name not in prompt]
    texts = [tool["description"] for tool in functions]
    texts += [below["description"] for tool in functions for below in tool["parameters"]["properties"].values()]
    listed = f"{', '.join(missing)} are missing; model.system_prompt shows them where it holds {{tools}}"
    reason = f"the prompt does not show the tools: {listed}" if missing else ""
    hidden = [text for text in texts if text not in prompt]
    note = "the prompt does not show all descriptions of tools and parameters"
    return [Check(PROMPT, "tools", reason)], [note] if hidden else []


def _trimmed(chat: ChatFormat) -> list[str]:
    """Note where white space around a result is lost."""
    try:
        shown = _result_text(chat, "add", f" {_MARK}\n")
    except InputError:
        return []
    kept = (f" {_MARK}\n", json.dumps(f" {_MARK}\n"))
    return [] if any(text in shown for text in kept) else ["white space around a tool's result is trimmed"]


# --- the four checks: each yields what is wrong ----------------------------------------------------------------------


def prefix(chat: ChatFormat, conversation: GoldenConversation) -> Iterator[str]:
    messages = conversation.messages
    ends = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    first = ends[0]
    earlier = list(chat.prompt_ids(messages[first - 1]["content"], TOOLS, messages[: first - 1]))
    for turn, end in enumerate(ends):
        continues = end == first or messages[end - 1]["role"] == "tool"  # a further question may begin a segment
        ids = chat.render_messages(messages[: end + 1], TOOLS).last_segment()
        if chat.think_history == "strip":
            unthinking = [*map(_without_thinking, messages[:end]), messages[end]]
            if chat.render_messages(unthinking, TOOLS).last_segment() != ids:
                yield f"turn {turn}: thinking of an earlier turn changes its ids"
        elif continues and ids[: len(earlier)] != earlier:
            yield f"turn {turn}: its ids do not begin with those of the stage before"
        whole = chat.template_text(messages[: end + 1], TOOLS)
        ours = chat.decode(ids[:-1] if chat.end_of(messages[end]).opens_next else ids)
        shown, whole = (_comparable(chat, text) for text in (ours, whole))
        if not whole.startswith(shown):
            yield f"turn {turn}: rendered whole, the template rewrites an earlier message: {_difference(shown, whole)}"
        earlier = ids


def round_trip(chat: ChatFormat, conversation: GoldenConversation) -> Iterator[str]:
    for turn, message in enumerate(_turns(conversation)):
        read = chat.parse(chat.turn_ids(message), TOOLS)
        said = AssistantTurn.from_message(_kept(chat, message), chat.syntax)
        for field in ("calls", "content", "reasoning", "hidden_calls"):
            got, given = _exact(getattr(read, field)), _exact(getattr(said, field))
            if got != given:
                yield f"turn {turn}: {field} {given[:120]} came back as {got[:120]}"


def mask(chat: ChatFormat, conversation: GoldenConversation) -> Iterator[str]:
    tokens = chat.render_messages(conversation.messages, TOOLS)
    trained = [ids for bit, ids in _runs(tokens) if bit]
    turns = _turns(conversation)
    counts = accumulate((len(message.get("tool_calls", ())) for message in turns), initial=0)
    texts = [chat.turn_text(message, calls) for message, calls in zip(turns, counts, strict=False)]
    if [chat.decode(ids) for ids in trained] != texts:
        yield f"the trained pieces are not the {len(turns)} assistant turns"
    for turn, (ids, message) in enumerate(zip(trained, turns, strict=False)):
        end = chat.end_of(message).token
        if ids[-1:] != chat.encode(end) or sum(token in chat.end_ids for token in ids) != 1:
            yield f"turn {turn}: {end} does not stand once, at the end, as the only token that ends a turn"


def literal(chat: ChatFormat, conversation: GoldenConversation) -> Iterator[str]:
    messages = conversation.messages
    question = next(message["content"] for message in messages if message["role"] == "user")
    yield from _placed(question, lambda text: chat.decode(list(chat.prompt_ids(text, TOOLS))), "question")
    for message in messages:
        if message["role"] == "tool":
            yield from _placed(message["content"], partial(_result_text, chat, message["name"]), "result")


def _result_text(chat: ChatFormat, tool: str, text: str) -> str:
    return chat.decode(list(chat.tool_ids(((tool, text),))))


CHECKS: dict[str, Callable[[ChatFormat, GoldenConversation], Iterator[str]]] = {
    "prefix": prefix,
    "round_trip": round_trip,
    "mask": mask,
    "literal": literal,
}


def _placed(text: str, render: Callable[[str], str], what: str) -> Iterator[str]:
    """Check that the text is rendered where a mark would be."""
    marked, shown = render(_MARK), render(text)
    quoted = json.dumps(text, ensure_ascii=False)
    accepted = [marked.replace(_MARK, text), marked.replace(_MARK, text.strip())]
    accepted.append(marked.replace(json.dumps(_MARK), quoted))
    if shown not in accepted or _MARK not in marked:
        yield f"{what} {text[:60]!r} does not appear literally in {shown[-120:]!r}"


def _turns(conversation: GoldenConversation) -> list[dict[str, Any]]:
    return [message for message in conversation.messages if message["role"] == "assistant"]


def _kept(chat: ChatFormat, message: dict[str, Any]) -> dict[str, Any]:
    return message if chat.keeps_thinking else _without_thinking(message)


def _without_thinking(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "reasoning_content"}


def _exact(value: Any) -> str:
    """Write as JSON, in which 1, 1.0 and true differ, with sorted keys."""
    if isinstance(value, tuple):
        value = [asdict(call) for call in value]
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _runs(tokens: Tokens) -> list[tuple[bool, list[int]]]:
    pairs = zip(tokens.loss_mask, tokens.token_ids, strict=True)
    return [(bit, [token for _, token in run]) for bit, run in groupby(pairs, key=lambda pair: pair[0])]


def _comparable(chat: ChatFormat, text: str) -> str:
    """A rendered text without thinking. Where thinking is stripped, white space around it is the template's."""
    text = chat.syntax.thinking.removed(text)
    return text if chat.think_history == "keep" else "".join(text.split())


def _difference(ours: str, whole: str) -> str:
    """Quote both texts from where they first differ."""
    at = next((i for i, (a, b) in enumerate(zip(ours, whole, strict=False)) if a != b), min(len(ours), len(whole)))
    return f"{ours[at : at + 40]!r} became {whole[at : at + 40]!r}"
