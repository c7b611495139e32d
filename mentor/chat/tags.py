"""Tags of the tokenizer that text from outside spells, `<|im_end|>` say: escaped, they are encoded as ordinary text.

A tag is split by a Unicode noncharacter behind its first character. Each piece is encoded by itself, so that no piece
spells a tag, and the noncharacter is gone. What a tool returns can therefore never end a turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPLIT = "\ufdd0"  # a Unicode noncharacter


def tag_patterns(tokenizer: PreTrainedTokenizerBase) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile what matches any added token of the tokenizer, and any special one; nothing where it has none."""
    added = sorted(tokenizer.added_tokens_decoder.values(), key=lambda token: -len(token.content))
    added = [token for token in added if len(token.content) > 1]
    both = (added, [token for token in added if token.special])
    tags, specials = (re.compile("|".join(re.escape(token.content) for token in tokens) or "(?!)") for tokens in both)
    return tags, specials


def tags_in(text: str, tags: re.Pattern[str]) -> re.Pattern[str]:
    """Compile what matches the tags that stand in a text; nothing where none does."""
    return re.compile("|".join(map(re.escape, tags.findall(text))) or "(?!)")


def either(one: re.Pattern[str], other: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(f"{one.pattern}|{other.pattern}")


def escape(value: Any, tags: re.Pattern[str]) -> Any:
    """Split every tag in the texts of a JSON value."""
    if isinstance(value, str):
        text = value.replace(SPLIT, "\ufffd")
        return tags.sub(lambda match: match[0][0] + SPLIT + match[0][1:], text)
    if isinstance(value, dict):
        return {escape(key, tags): escape(below, tags) for key, below in value.items()}
    if isinstance(value, list):
        return [escape(below, tags) for below in value]
    return value


def unescape(text: str) -> str:
    """Put the tags of an escaped text together again."""
    return text.replace(SPLIT, "")


def unescape_value(value: Any) -> Any:
    """Put the tags in the texts of a JSON value together again."""
    if isinstance(value, str):
        return unescape(value)
    if isinstance(value, dict):
        return {unescape(key): unescape_value(below) for key, below in value.items()}
    return [unescape_value(below) for below in value] if isinstance(value, list) else value


def escaped_after(text: str, count: int) -> str:
    """Return an escaped text without its first `count` characters, those that split tags not counted."""
    shown = 0
    for place, character in enumerate(text):
        if shown == count:
            return text[place:]
        shown += character != SPLIT
    return ""


def encode_escaped(text: str, encode: Callable[[str], list[int]]) -> list[int]:
    """Encode an escaped text piece by piece: no tag that was split becomes its token."""
    return [token for piece in text.split(SPLIT) for token in encode(piece)]


def decode_escaped(
    ids: list[int], tags: re.Pattern[str], encode: Callable[[str], list[int]], decode: Callable[[list[int]], str]
) -> str:
    """Decode ids; a tag that is spelled with other tokens than its own is escaped."""
    text = decode(ids)
    spelled = tags.findall(text)
    own = {encode(tag)[0]: tag for tag in {*spelled}}
    if len(spelled) == sum(token in own for token in ids):
        return text
    runs = ((tag, [*run]) for tag, run in groupby(ids, own.__contains__))
    return "".join("".join(map(own.__getitem__, run)) if tag else escape(decode(run), tags) for tag, run in runs)
