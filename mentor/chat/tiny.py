"""The tokenizer of the student made from scratch: small, Qwen-style, digits one by one.

Byte-level BPE over text split at white space and digits, so that the scaffold of a call (`{"name":`, ` "arguments":`)
and a line of the tool listing become single tokens while every number stays a row of digits. For a student that reads
tools it has never seen the text is split at words too. The chat template lists tools as signatures,
`find(name:string,unit?:"km"|"mile")`: full JSON schemas would be too long a prompt for a student this small. It is
saved with the tokenizer, so a student keeps the template that it was trained with, and with a `response_template`, so
`parse_response` of transformers reads its turns; vLLM's `hermes` tool parser does too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

TEMPLATE = (Path(__file__).parent / "tiny.jinja").read_text(encoding="utf-8")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
CHUNKS = r"\d|\n| ?[^\s\d]+"  # of the text, which no token crosses
WORDS = r'\{"name": "|", "arguments": |\d|\n|\p{Lu}?\p{Ll}+|\p{L}+| ?[^\s\d\p{L}]+'
RESPONSE_TEMPLATE: dict[str, Any] = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open_pattern": r"<tool_call>\s*",
            "close_pattern": r"\s*</tool_call>\n?",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close": "<|im_end|>"},
    },
}


def render_text(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
    """Render a whole conversation in the tiny student's chat template, as transformers would."""
    rendered = render_jinja_template([messages], tools=[*tools], chat_template=TEMPLATE)
    return rendered[0][0]


def train_tokenizer(texts: Iterable[str], vocab_size: int, whole_words: bool = False) -> PreTrainedTokenizerFast:
    """Learn a tokenizer of `vocab_size` entries from rendered conversations.

    The texts are split at the special tokens before learning: merges across them would never be used. whole_words:
    also split words from the signs and spaces around them, so that a name has the same tokens in a question, in the
    listing and in a call; a listing of tools that the texts repeat takes more tokens then.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS if whole_words else CHUNKS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(TAGS),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    specials = re.compile("|".join(map(re.escape, (*SPECIAL, *TAGS))))
    tokenizer.train_from_iterator((piece for text in texts for piece in specials.split(text)), trainer)
    tokenizer.add_tokens(list(TAGS))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
        response_template=RESPONSE_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
