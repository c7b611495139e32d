"""What `stage=check` shows of a chat format: one conversation as the student sees it, and what of it is trained."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from mentor.types import Tokens

if TYPE_CHECKING:  # needs transformers, which this stage imports late
    from mentor.chat import ChatFormat

COLOURS = {"context": "dim", "result": "yellow", "trained": "bold green"}


@dataclass(frozen=True)
class Stretch:
    """A run of tokens that are trained, or of tokens that are not. kind: names a colour of COLOURS."""

    title: str
    kind: str
    text: str
    tokens: int


def show_chat(chat: ChatFormat) -> None:
    """Print what was certified, and a conversation: in colours on a terminal, unless NO_COLOR is set."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print(Text("\n".join(described(chat))))
    for stretch in stretches(chat):
        trained = "trained" if stretch.kind == "trained" else "not trained"
        console.print(Text(f"--- {stretch.title}: {stretch.tokens} tokens, {trained}", "bold"))
        console.print(Text(stretch.text, COLOURS[stretch.kind]))
    console.print(Text("---", "bold"))


def described(chat: ChatFormat) -> list[str]:
    """What the certificate says of the format, in lines."""
    from mentor.chat.certificate import certify

    certificate = certify(chat)
    conversations = len({check.conversation for check in certificate.checks})
    result = f"{len(certificate.checks)} checks on {conversations} conversations pass"
    if certificate.failures:
        first = certificate.failures[0]
        result = f"{len(certificate.failures)} of {len(certificate.checks)} checks fail, first `{first.name}` of "
        result += f"{first.conversation!r}: {first.reason}"
    held = "several calls in a turn" if chat.parallel_calls else "one call in a turn"
    text = "text beside them" if chat.text_with_calls else "no text beside them"
    opened = ", opened by the prompt" if chat.opens_thinking else ""
    end = chat.answer_end.token
    calls_end = "" if chat.call_end.token == end else f", of a turn with calls {chat.call_end.token}"
    lines = [
        f"chat format: {result}",
        f"  calls: {chat.syntax.name}, {held}, {text}",
        f"  end of a turn: {end}{calls_end}",
        f"  thinking: {certificate.thinking}{opened}; of earlier turns: {chat.think_history}",
    ]
    lines += [f"  note: {note}" for note in certificate.notes]
    return [*lines, *(f"  skipped: {name}, {why}" for name, why in certificate.skipped.items())]


def stretches(chat: ChatFormat) -> Iterator[Stretch]:
    """Render a question, a call, its result and an answer, with thinking where the template keeps it."""
    from mentor.chat.golden import ADD, TOOLS, says

    call, answer = says("", ADD, thinking="Add them."), says("The answer is \\boxed{19}.", thinking="It is 19.")
    result = {"role": "tool", "tool_call_id": "call_0", "name": "add", "content": "19"}
    messages: list[dict[str, Any]] = [{"role": "user", "content": "What is 12 plus 7?"}, call, result, answer]
    tools = json.dumps(json.loads(TOOLS)[:1])
    titles = iter(("prompt", "call", "result", "answer"))
    for number, segment in enumerate(chat.render_messages(messages, tools).segments()):
        for trained, ids in runs(segment):
            title = "prompt of the next turn" if number and not trained else next(titles)
            if number and not trained:
                next(titles)  # the result stands in this prompt
            kind = "trained" if trained else "result" if title == "result" else "context"
            yield Stretch(title, kind, chat.decode(ids), len(ids))


def show_tokens(chat: ChatFormat, tokens: Tokens, console: Console) -> None:
    """Print the tokens of a trajectory, segment by segment, in the colours of what is trained and what is not."""
    for segment in tokens.segments():
        for trained, ids in runs(segment):
            kind = "trained" if trained else "context"
            console.print(Text(f"--- {len(ids)} tokens, {'trained' if trained else 'not trained'}", "bold"))
            console.print(Text(chat.decode(ids), COLOURS[kind]))
    console.print(Text("---", "bold"))


def runs(tokens: Tokens) -> Iterator[tuple[bool, list[int]]]:
    """Split tokens where the mask changes."""
    for trained, run in groupby(zip(tokens.loss_mask, tokens.token_ids, strict=True), key=lambda pair: pair[0]):
        yield trained, [token for _, token in run]
