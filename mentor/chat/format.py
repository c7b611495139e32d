"""One renderer for teacher, SFT, RL and eval: messages to token ids, appended turn by turn, never re-tokenised.

A conversation is the prompt's ids, then for each turn the assistant's ids (sampled, or a teacher's turn rendered) and
the ids of the tool results with the glue up to the next assistant turn. Every piece is a difference of two renderings
of the tokenizer's own chat template, so any template that only appends works; one that rewrites the open turn is
refused. Earlier turns stay exactly as they were produced (thinking is kept), also where a template would strip it when
rendering the whole conversation anew.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from mentor.chat.parse import AssistantTurn, parse_turn
from mentor.errors import InputError
from mentor.types import Tokens, Trajectory

_QUESTION = {"role": "user", "content": "question"}
_MARK = "MENTORMARK"


class ChatFormat:
    """The student's conversation format: its tokenizer, its chat template and the text of the user turn.

    question_template: text with `{question}`; enable_thinking is handed to the template.
    Raises InputError where the tokenizer has no chat template or no end-of-turn token.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, question_template: str = "{question}", enable_thinking: bool = False
    ) -> None:
        if not tokenizer.chat_template:
            raise InputError("the tokenizer has no chat template: set model.chat_template to a Jinja file")
        if tokenizer.eos_token is None:
            raise InputError("the tokenizer has no eos_token to end a turn with")
        self.tokenizer = tokenizer
        self.question_template = question_template
        self.enable_thinking = enable_thinking
        self.eos_token: str = tokenizer.eos_token
        self.eos_id: int = tokenizer.eos_token_id
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.eos_id
        self.prompt_ids = lru_cache(maxsize=4096)(self._prompt_ids)  # a group asks for one prompt G times
        self.tool_ids = lru_cache(maxsize=16384)(self._tool_ids)
        self._open_turn = self._render([_QUESTION], add_generation_prompt=True)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        chat_template: str | None = None,
        question_template: str = "{question}",
        enable_thinking: bool = False,
    ) -> ChatFormat:
        """Load the tokenizer of a model folder or hub name; `chat_template` is a file that replaces its template."""
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(path))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"model.path={path} holds no tokenizer: {str(error).splitlines()[0]}") from error
        if chat_template is not None:
            if not Path(chat_template).is_file():
                raise InputError(f"model.chat_template={chat_template} is not a file")
            tokenizer.chat_template = Path(chat_template).read_text(encoding="utf-8")
        return cls(tokenizer, question_template, enable_thinking)

    def _prompt_ids(self, question: str, tools: str) -> tuple[int, ...]:
        """Ids up to the point where the assistant begins; `tools` is the schemas as JSON text."""
        user = {"role": "user", "content": self.question_template.replace("{question}", question)}
        schemas = json.loads(tools)
        return tuple(self.encode(self._render([user], tools=schemas or None, add_generation_prompt=True)))

    def turn_text(self, message: dict[str, Any]) -> str:
        """The text the student would have to produce for this assistant message, end-of-turn token included."""
        before = self._open_turn
        whole = self._render([_QUESTION, message])
        if not whole.startswith(before):
            raise InputError("the chat template does not only append: an assistant turn rewrites the prompt before it")
        end = whole.rfind(self.eos_token)
        if end < len(before):
            raise InputError(f"the chat template does not end an assistant turn with {self.eos_token}")
        return whole[len(before) : end] + self.eos_token

    def _tool_ids(self, results: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
        """Ids that follow an assistant turn: its results as (tool name, text), and the glue up to the next turn."""
        calls = [
            {"id": f"call_{i}", "type": "function", "function": {"name": _MARK, "arguments": {}}}
            for i in range(len(results))
        ]
        messages: list[dict[str, Any]] = [
            _QUESTION,
            {"role": "assistant", "content": _MARK, "tool_calls": calls},
            *(
                {"role": "tool", "tool_call_id": f"call_{i}", "name": name, "content": text}
                for i, (name, text) in enumerate(results)
            ),
        ]
        text = self._render(messages, add_generation_prompt=True)
        end = text.find(self.eos_token, text.index(_MARK))
        if end < 0:
            raise InputError(f"the chat template does not end an assistant turn with {self.eos_token}")
        return tuple(self.encode(text[end + len(self.eos_token) :]))

    def render(self, trajectory: Trajectory) -> Tokens:
        """A teacher's trajectory in this format: loss mask True on assistant turns (logprobs 0), as RL would see it."""
        tokens = Tokens()
        messages = trajectory.messages
        if not messages or messages[0]["role"] != "user" or messages[-1]["role"] != "assistant":
            raise InputError(f"trajectory {trajectory.task.id}: messages go from a user turn to an assistant turn")
        tokens.append_context(self.prompt_ids(messages[0]["content"], trajectory.tools))
        results: list[tuple[str, str]] = []
        for message in messages[1:]:
            if message["role"] == "tool":
                results.append((message.get("name", ""), message["content"]))
                continue
            if results:
                tokens.append_context(self.tool_ids(tuple(results)))
                results = []
            ids = self.encode(self.turn_text(message))
            tokens.append_sampled(ids, [0.0] * len(ids))
        return tokens

    def parse(self, token_ids: list[int]) -> AssistantTurn:
        """The assistant turn that these sampled ids spell."""
        return parse_turn(self.decode(token_ids).removesuffix(self.eos_token))

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def decode(self, token_ids: list[int]) -> str:
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _render(self, messages: list[dict[str, Any]], **options: Any) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                messages, tokenize=False, enable_thinking=self.enable_thinking, **options
            )
        )
