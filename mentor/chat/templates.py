"""Chat templates: a user's own file, one that comes with the project, and the named ones of a tokenizer.

`deepseek` stands in for templates that write a second round of calls unlike the first, which can only be appended to in
another form than they render.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mentor.errors import InputError

NAMES = ("deepseek", "tiny")
_DEEPSEEK_CALLS = "<｜tool▁calls▁begin｜>"


def template_file(given: str, key: str = "model.chat_template") -> Path:
    """Find a user's Jinja file, or one of NAMES. Raises InputError naming `key` where there is neither."""
    path = Path(__file__).with_name(f"{given}.jinja") if given in NAMES else Path(given)
    if not path.is_file():
        raise InputError(f"`{key}={given}` is not a file, nor one of {', '.join(NAMES)}")
    return path


def named_template(given: Any, name: str | None) -> Any:
    """Choose among the named templates of a tokenizer; without a name the one for tools, as transformers does."""
    if not isinstance(given, dict):
        return given  # as a student's that was trained with one of several
    chosen = name or ("tool_use" if "tool_use" in given else "default")
    if chosen not in given:
        raise InputError(f"model.template_name={chosen} is not a chat template of the tokenizer: {', '.join(given)}")
    return given[chosen]


def stand_in(template: str) -> str:
    """Name the template that stands in for a refused one, as the end of a message; empty where none does."""
    return "; model.chat_template=deepseek stands in for it" if _DEEPSEEK_CALLS in template else ""
