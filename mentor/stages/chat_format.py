"""Load the student's chat format, certified unless `model.uncertified`, and save its certificate with a model."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from mentor.chat import ChatFormat
from mentor.chat.certificate import FILE, certify, fingerprint, stored_certificate
from mentor.chat.golden import VERSION
from mentor.chat.templates import stand_in
from mentor.config import ModelConfig
from mentor.errors import InputError

warn = logging.getLogger(__name__).warning


def load_chat(base: Path | str, model: ModelConfig) -> ChatFormat:
    """Load the format of a model folder or hub name. Raises InputError where its certificate has a failed check.

    Warns when a student is loaded with a different chat format from the one it was trained in.
    """
    chat = ChatFormat.from_pretrained(
        base,
        model.chat_template,
        model.question_template,
        model.enable_thinking,
        model.think_history,
        model.system_prompt,
        model.call_syntax,
        model.uncertified,
        model.template_name,
        model.end_of_turn,
    )
    stored = stored_certificate(Path(base))
    if stored is not None and stored.version != VERSION:
        stored = None
    if stored is not None and stored.fingerprint != fingerprint(chat):
        warn(
            f"{base}: trained in a different chat format from the one it is used in now; one of model.chat_template, "
            "question_template, system_prompt, enable_thinking, think_history, call_syntax, end_of_turn differs"
        )
        stored = None
    certificate = stored or certify(chat)
    if certificate.failures and not model.uncertified:
        check, share = certificate.failures[0], f"{len(certificate.failures)} of {len(certificate.checks)} checks"
        raise InputError(
            f"the chat template of {model.chat_template or base} fails {share}, first `{check.name}` of "
            f"{check.conversation!r}: {check.reason}; model.uncertified=true uses it anyway"
            f"{stand_in(chat.tokenizer.chat_template)}"
        )
    return chat


def texts_around(model: ModelConfig) -> dict[str, str | None]:
    """Return, by key, the texts that are sent with every question."""
    return {"model.question_template": model.question_template, "model.system_prompt": model.system_prompt}


def save_certificate(folder: Path, chat: ChatFormat) -> None:
    """Save the certificate of the format that a model was trained in beside it."""
    text = json.dumps(certify(chat).to_dict(), ensure_ascii=False, indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
