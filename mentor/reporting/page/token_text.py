"""The text of single tokens, for a view of what a trajectory was trained on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from tokenizers import Tokenizer

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def token_texts(tokenizer: Tokenizer, ids: Iterable[int]) -> dict[int, str]:
    """Decode each token by itself; `‹e2 82›` are the bytes of a token that is only a part of a character."""
    return {token_id: token_text(tokenizer, token_id) for token_id in sorted(set(ids))}


def token_text(tokenizer: Tokenizer, token_id: int) -> str:
    """Decode one token; see `token_texts`."""
    name = tokenizer.id_to_token(token_id)
    if name is None:
        return f"‹token {token_id}›"
    text = tokenizer.decode([token_id], skip_special_tokens=False)
    if "\ufffd" in text and (found := token_bytes(name)) is not None:
        return f"‹{found.hex(' ')}›"
    if name.startswith("▁") and not text.startswith(" "):
        return f" {text}"  # decoders of this kind drop the space in front of a text
    return text


def token_bytes(name: str) -> bytes | None:
    """Return the bytes that a token's name stands for in byte-fallback or byte-level notation; None for neither."""
    if match := BYTE_TOKEN.fullmatch(name):
        return bytes.fromhex(match.group(1))
    alphabet = byte_alphabet()
    return bytes(alphabet[char] for char in name) if all(char in alphabet for char in name) else None


@cache
def byte_alphabet() -> dict[str, int]:
    """Map the characters of byte-level tokenizers to bytes: printable ones are themselves, the rest count from 256."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
