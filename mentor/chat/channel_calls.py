"""Calls that are messages of their own in a turn of several, addressed to the tool: `to=functions.add` of gpt-oss."""

from __future__ import annotations

import re

from mentor.chat.named_calls import read_arguments
from mentor.chat.parsed import FoundCall, ParsedCall, Schemas, malformed
from mentor.chat.spelling import Spelling

FRAME = (
    r"(?:\A|<\|start\|>assistant)[^<]{0,300}(?:<\|channel\|>[^<]{0,300})?(?:<\|constrain\|>[^<]{0,300})?<\|message\|>"
    r"|<\|(?:start\|>assistant|end\|>|call\|>|return\|>)"
)
"""What opens and ends a message, and is no part of its text."""
NOT_TOOLS = ("user", "assistant", "self", "all")

_MARK = r"<\|(?:message|start|end|call|return)\|>"
_HEADER = re.compile(
    rf"(?:\A|(?<=<\|start\|>assistant))(?P<header>(?:(?!{_MARK}).){{0,400}})(?P<open><\|message\|>)?", re.DOTALL
)
_RECIPIENT = re.compile(r"\s*(?:<\|channel\|>\s*\w*\s*)?to=(?P<to>[^\s<]{1,256})")
_TAIL = re.compile(r"\s*(?:<\|(?:call|end|return)\|>|(?=<\|start\|>)|\Z)")
_END = re.compile(r"<\|(?:call|end|return)\|>|(?=<\|start\|>)|\Z")


class ChannelCalls:
    """Reads the form `channel`. The recipient stands before the channel or behind it, the type of the text is free."""

    def __init__(self, spelling: Spelling) -> None:
        self.mention = re.compile(r"to=functions\.")

    def find(self, text: str, schemas: Schemas) -> list[FoundCall]:
        found: list[FoundCall] = []
        for head in _HEADER.finditer(text):
            recipient = _RECIPIENT.match(head["header"])
            if recipient is None or recipient["to"] in NOT_TOOLS or (found and head.start() < found[-1].end):
                continue
            end, call = self._call(text, head, recipient["to"].removeprefix("functions."))
            found.append(FoundCall(head.start(), end, call))
        return found

    def _call(self, text: str, head: re.Match[str], name: str) -> tuple[int, ParsedCall]:
        """Read the call of a message, and where the message ends."""
        if not name:
            return self._end(text, head.end()), malformed("a call is addressed to functions.NAME")
        if head["open"] is None:
            return self._end(text, head.end()), malformed("the header of a call ends with <|message|>", name)
        try:
            arguments, end = read_arguments(text, head.end())
        except ValueError as error:
            return self._end(text, head.end()), malformed(str(error)[:120], name)
        tail = _TAIL.match(text, end)
        if tail is None:
            return self._end(text, end), malformed("text after the arguments of a call", name)
        return tail.end(), ParsedCall(name, arguments)

    @staticmethod
    def _end(text: str, start: int) -> int:
        match = _END.search(text, start)
        return match.end() if match else len(text)
