"""What ends an assistant's turn: a token that the template writes, found by rendering, and those of the model's files.

An answer and a turn with calls may end differently (`<|return|>` and `<|call|>`). Some templates write no end of their
own: the opening of what follows ends the turn (`<|user|>`, `<|observation|>`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mentor.errors import InputError, one_line

FILE = "generation_config.json"
Opening = Callable[[], str | None]


@dataclass(frozen=True)
class TurnEnd:
    """The token that ends a turn. opens_next: the template writes it only where something follows the turn."""

    token: str
    opens_next: bool = False


def answer_end(behind: str, opening: Opening, own: str | None, specials: re.Pattern[str]) -> TurnEnd | None:
    """Choose the end of an answer: the tokenizer's `own` where it stands there, else the first special token.

    behind: what the template writes behind an answer's text where nothing follows. opening: returns what it writes
    next where a message of the user's follows, None where it rewrites the answer then.
    """
    if own is not None and own in behind:
        return TurnEnd(own)
    found = specials.search(behind)
    return TurnEnd(found[0]) if found else _opening(opening(), specials)


def call_ends(turn: str, opening: Opening, answer: TurnEnd, specials: re.Pattern[str]) -> list[TurnEnd]:
    """List what may end a turn with calls, the likeliest first.

    It is the end of an answer where the template writes that. Otherwise the last special token ends the turn, or
    belongs to a call, and the opening of the results ends the turn.
    turn: all that the template writes of the turn where nothing follows. opening: as for `answer_end`, of the results.
    """
    if not answer.opens_next and answer.token in turn:
        return [answer]
    ends = [TurnEnd(token) for token in specials.findall(turn)[-1:]]
    next_turn = _opening(opening(), specials)
    return [*ends, *([next_turn] if next_turn else [])] or [answer]


def given_end(token: str, behind: str, opening: Opening) -> TurnEnd:
    """Look where the template writes the token that a user says ends a turn. Raises InputError where it does not."""
    if token in behind:
        return TurnEnd(token)
    if (opening() or "").startswith(token):
        return TurnEnd(token, opens_next=True)
    raise not_an_end(token)


def not_an_end(token: str) -> InputError:
    return InputError(
        f"the chat template does not end an assistant turn with {token}: set model.end_of_turn to the token that does"
    )


def _opening(text: str | None, specials: re.Pattern[str]) -> TurnEnd | None:
    found = specials.match(text) if text is not None else None
    return TurnEnd(found[0], opens_next=True) if found else None


def generation_ends(path: str | Path) -> list[int]:
    """Read `eos_token_id` of generation_config.json, or of config.json where a model has no such file.

    path: a model folder or a hub name. Empty where it names none, and for a folder of a tokenizer alone.
    Raises InputError for a file that cannot be read, and for what is no token id.
    """
    from transformers import GenerationConfig, PreTrainedConfig

    try:
        config = GenerationConfig.from_pretrained(str(path))
    except OSError as error:
        if (Path(path) / FILE).is_file():
            raise InputError(f"model.path={path}: {FILE} cannot be read: {one_line(error)}") from error
        config = GenerationConfig.from_model_config(PreTrainedConfig.get_config_dict(str(path))[0])
    given: Any = config.eos_token_id
    ends = given if isinstance(given, list) else [] if given is None else [given]
    if not all(isinstance(end, int) for end in ends):
        raise InputError(f"model.path={path}: eos_token_id={given!r} is neither a token id nor a list of them")
    return ends
