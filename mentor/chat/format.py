"""One renderer for teacher, SFT, RL and eval: messages to token ids, appended turn by turn, never re-tokenised.

A conversation is the prompt's ids, then for each turn the assistant's ids (sampled, or a teacher's turn rendered) and
the ids of the tool results with the glue up to the next assistant turn. Every piece is the difference of two renderings
of the tokenizer's chat template, so any template that only appends works; one that rewrites the open turn is refused.
With think_history=keep, earlier turns stay exactly as they were produced, even where the template would strip their
thinking when it renders the whole conversation again. With strip, an earlier turn with thinking is replaced by its text
without it: the next turn begins another segment of the tokens.

A task may have a system text and earlier turns before its question. They are what the template renders for them, and so
is all that stands before a further turn of the user: where the template writes earlier turns differently by then (most
drop their thinking), that turn begins another segment.

What a template can hold (how it spells a call, several calls in a turn, text beside a call, thinking) is found by
rendering probes with tools. `certificate` checks the rest on golden conversations; `tags` keeps questions, arguments
and tool results from spelling special tokens.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property, lru_cache, partial
from itertools import product, zip_longest
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from mentor.chat.conversation import ordered
from mentor.chat.ends import TurnEnd, answer_end, call_ends, generation_ends, given_end, not_an_end
from mentor.chat.messages import make_call
from mentor.chat.parse import AssistantTurn, leaves_thinking_open, parse_turn, split_reasoning
from mentor.chat.parsed import ParsedCall, Schemas
from mentor.chat.syntax import HERMES, SYNTAXES, CallSyntax, load_syntax
from mentor.chat.tags import (
    SPLIT,
    decode_escaped,
    either,
    encode_escaped,
    escape,
    escaped_after,
    tag_patterns,
    tags_in,
    unescape,
)
from mentor.chat.templates import named_template, stand_in, template_file
from mentor.chat.thinking import Thinking
from mentor.errors import InputError, one_line
from mentor.types import Tokens, Trajectory

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_QUESTION = {"role": "user", "content": "question"}
_MARK = "MENTORMARK"
_REPLACEMENT = "\ufffd"  # what a character decodes to of which some bytes are missing
_CUT = re.compile(r"(.*) \.\.\.\[cut, \d{1,9} tokens\]", re.DOTALL)
_DATE = datetime(2024, 7, 26)  # templates write a date into the prompt (Llama, gpt-oss): a run must not change with it
_TOOLS = "{tools}"  # in a system prompt: the schemas of the tools, one a line
_THINKING_KEYS = ("reasoning_content", "thinking")  # the second is that of gpt-oss and LFM2.5


_PROBES = (make_call("probe_one", {"key": "value"}), make_call("probe_two", {"key": 2}, 1))
_AWKWARD: tuple[dict[str, Any], ...] = ({"key": 'it\'s "quoted" \\ twice\n'}, {'a "key>:{}\n': "value"})
_PROBE_TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "A probe.",
            "parameters": {"type": "object", "properties": {"key": {"type": kind, "description": "a key"}}},
        },
    }
    for name, kind in (("probe_one", "string"), ("probe_two", "integer"))
]
_COUNTED = "functions.{name}:{}"  # Kimi's ids, which count through the conversation
_CALL_IDS = ("call_{}", "call{:05}", _COUNTED)  # any, Mistral's nine letters, Kimi's


class ChatFormat:
    """The student's conversation format: its tokenizer, its chat template and the text of the user turn.

    question_template: text with `{question}`. enable_thinking: passed to the template. think_history: `keep` or
    `strip`, whether the thinking of earlier turns is in the prompt of later ones. system_prompt: the system message of
    a conversation that has none; with `{tools}`, which shows the tools, it comes before any.
    call_syntax: how calls are spelled, found by rendering where it is None.
    uncertified: use call_syntax even where it does not read a rendered call. end_of_turn: the token that ends an
    answer, or that token, a space and the one that ends a turn with calls; found by rendering where not given.
    more_ends: ids of further tokens that end a turn where a student writes them.
    answer_end, call_end: what the template ends an answer and a turn with calls with; `eos_token` and `eos_id` are of
    an answer. end_ids: the tokens that stop sampling, those two first.
    syntax: how the template spells calls. parallel_calls, text_with_calls, keeps_thinking: whether an assistant turn
    holds several calls, text beside a call, and reasoning. quotes_in_calls, any_argument_names: whether a call holds
    text with quotes and line ends, and names of arguments that are no words. marks_in_text: whether the text of a turn
    may spell the marks of thinking, which are read as thinking only where they are the marks' own tokens.
    system_messages: whether the template takes one. writes_calls: False where the template leaves calls out, and the
    syntax writes them into the text.
    Raises InputError where the tokenizer has no chat template or no end-of-turn token, where the template's calls are
    in no known syntax, and where thinking that the prompt opens cannot be taken out of it again.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        question_template: str = "{question}",
        enable_thinking: bool = False,
        think_history: str = "keep",
        system_prompt: str | None = None,
        call_syntax: CallSyntax | None = None,
        uncertified: bool = False,
        end_of_turn: str | None = None,
        more_ends: Sequence[int] = (),
    ) -> None:
        if not tokenizer.chat_template:
            raise InputError("the tokenizer has no chat template: set model.chat_template to a Jinja file")
        self.tokenizer = tokenizer
        self.question_template = question_template
        self.enable_thinking = enable_thinking
        self.think_history = think_history
        self.system_prompt = system_prompt
        self._prompt_ids = lru_cache(maxsize=4096)(self._encode_prompt)  # a group asks for one prompt G times
        self.tool_ids = lru_cache(maxsize=16384)(self._tool_ids)
        self._tags, self._specials = tag_patterns(tokenizer)
        self._call_id, self._arguments_as_text, self.writes_calls = _CALL_IDS[0], False, True
        self._open_turn = self._render([_QUESTION], tools=_PROBE_TOOLS, add_generation_prompt=True)
        self._given_ends = self._read_ends(end_of_turn)
        self.answer_end = self.call_end = self._find_answer_end()
        self.eos_token, self.eos_id = self.answer_end.token, self.encode(self.answer_end.token)[0]
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.eos_id
        self._schemas = lru_cache(maxsize=256)(_schemas_of)
        self._unsaid = self._specials
        self.syntax = self._find_syntax(call_syntax, uncertified)
        self._marks = tags_in(" ".join(self._thinking_marks()), self._tags)
        self._unsaid = either(self._specials, self._marks)
        self.marks_in_text = all(map(self._marks.search, self._thinking_marks()))
        self._thinking_ids = self._find_thinking_ids() if think_history == "strip" else []
        self.call_end_id = self.encode(self.call_end.token)[0]
        known = [end for end in more_ends if 0 <= end < len(tokenizer)]
        self.end_ids = tuple(dict.fromkeys([self.eos_id, self.call_end_id, *known]))
        one, both = [_PROBES[0]], list(_PROBES)
        self.parallel_calls = self._holds({"content": "", "tool_calls": both})
        text_with_calls = {"content": "probe text", "tool_calls": one}
        self.text_with_calls = self._holds(text_with_calls) and self._keeps_before_results(text_with_calls)
        self.keeps_thinking = self._holds({"content": "probe text", "reasoning_content": "probe reasoning"})
        self.quotes_in_calls, self.any_argument_names = (
            self._holds({"content": "", "tool_calls": [make_call("probe_one", arguments)]}) for arguments in _AWKWARD
        )
        self.system_messages = self._takes([{"role": "system", "content": "probe system"}, _QUESTION])

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        chat_template: str | None = None,
        question_template: str = "{question}",
        enable_thinking: bool = False,
        think_history: str = "keep",
        system_prompt: str | None = None,
        call_syntax: str | None = None,
        uncertified: bool = False,
        template_name: str | None = None,
        end_of_turn: str | None = None,
    ) -> ChatFormat:
        """Load the tokenizer of a model folder or hub name; `chat_template` replaces its template, as `template_file`.

        call_syntax: a name or a file of `load_syntax`. template_name: which of several templates of a tokenizer.
        """
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(str(path))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"model.path={path} holds no tokenizer: {str(error).splitlines()[0]}") from error
        if chat_template is not None:
            tokenizer.chat_template = template_file(chat_template).read_text(encoding="utf-8")
        tokenizer.chat_template = named_template(tokenizer.chat_template, template_name)
        syntax = None if call_syntax is None else load_syntax(call_syntax)
        return cls(
            tokenizer,
            question_template,
            enable_thinking,
            think_history,
            system_prompt,
            syntax,
            uncertified,
            end_of_turn,
            generation_ends(path),
        )

    @property
    def opens_thinking(self) -> bool:
        """Whether the prompt ends inside the turn's thinking, with `<think>` or the marks of the syntax."""
        return self.syntax.thinking.opens(self._open_turn)

    def prompt_ids(self, question: str, tools: str, earlier: Sequence[dict[str, Any]] = ()) -> tuple[int, ...]:
        """Encode the prompt up to where the assistant begins.

        tools: the schemas as JSON text. earlier: the messages before the question, as `Task.earlier`.
        """
        return self._prompt_ids(question, tools, json.dumps(earlier) if earlier else "[]")

    def _encode_prompt(self, question: str, tools: str, earlier: str) -> tuple[int, ...]:
        messages = [*json.loads(earlier), {"role": "user", "content": question}]
        return tuple(self._encode_escaped(self._prompt(messages, tools)))

    def _prompt(self, messages: Sequence[dict[str, Any]], tools: str) -> str:
        """Render messages up to where the next turn begins, with escaped tags.

        Raises InputError where the template leaves out what a system or user message says.
        """
        shown = [self._escaped(message) for message in self._with_system(messages, tools)]
        text = self._render(shown, tools=json.loads(tools) or None, add_generation_prompt=True)
        for message in shown if len(shown) > 1 else ():
            said = message["content"].strip()
            if message["role"] in ("system", "user") and not _stands_in(said, text):
                raise InputError(f"the chat template leaves out a {message['role']} message: {unescape(said)[:60]!r}")
        return text

    def _with_system(self, messages: Sequence[dict[str, Any]], tools: str) -> list[dict[str, Any]]:
        """Put the system prompt before a conversation that has none; one that shows the tools before any."""
        own, rest = (messages[:1], messages[1:]) if messages[0]["role"] == "system" else ([], messages)
        if not self.system_prompt or (own and _TOOLS not in self.system_prompt):
            return list(messages)
        listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in json.loads(tools))
        texts = [self.system_prompt.replace(_TOOLS, listed), *(message["content"] for message in own)]
        return [{"role": "system", "content": "\n\n".join(texts)}, *rest]

    def _escaped(self, message: dict[str, Any]) -> dict[str, Any]:
        """Escape a message of any role; thinking of earlier turns is left out with think_history=strip."""
        role, content = message["role"], message["content"]
        if role == "assistant":
            return self._escaped_message(message, thinking=self.think_history == "keep")
        if role == "tool":
            return {
                **message,
                "name": escape(message.get("name", ""), self._tags),
                "content": escape(content, self._tags),
            }
        text = escape(content, self._tags)
        return {"role": role, "content": self.question_template.replace("{question}", text) if role == "user" else text}

    def turn_text(self, message: dict[str, Any], calls_before: int = 0) -> str:
        """Render this assistant message as the text that the student would have to produce, end-of-turn token included.

        Reasoning is left out where the template keeps none. calls_before: how many calls the conversation has had, for
        ids that count them. Raises InputError for what the template cannot hold: several calls, or text beside a call.
        """
        return unescape(self._turn(message, calls_before))

    def turn_ids(self, message: dict[str, Any], calls_before: int = 0) -> list[int]:
        """Encode `turn_text`; the end-of-turn token stands once, at the end."""
        return self._encode_escaped(self._turn(message, calls_before))

    def end_of(self, message: dict[str, Any]) -> TurnEnd:
        """Return what ends an assistant's message."""
        return self.call_end if message.get("tool_calls") else self.answer_end

    def ended(self, text: str) -> list[int]:
        """Encode the text of a turn, with the end of its kind."""
        ids = self.encode(text)
        return [*ids, self.call_end_id if self.parse(ids).calls else self.eos_id]

    def without_end(self, token_ids: list[int]) -> list[int]:
        """Return the ids of a turn up to its end, if it has one."""
        return token_ids[:-1] if token_ids[-1:] and token_ids[-1] in self.end_ids else token_ids

    def _turn(self, message: dict[str, Any], calls_before: int) -> str:
        """Render `turn_text` with escaped tags."""
        calls = message.get("tool_calls") or []
        if len(calls) > 1 and not self.parallel_calls:
            raise InputError(f"the chat template holds one call per turn, got {len(calls)}: write one call per turn")
        if calls and (message.get("content") or "").strip() and not self.text_with_calls:
            raise InputError("the chat template holds no text beside a call: leave the content of such a turn empty")
        if not self.keeps_thinking:
            message = {key: value for key, value in message.items() if key != "reasoning_content"}
        content = message.get("content") or ""
        stray = [mark for mark in self._thinking_marks() if mark in content[self.syntax.thinking.leading(content) :]]
        if stray and not self.marks_in_text:
            raise InputError(f"the text of a turn holds {stray[0]}, which is read as thinking: leave it out")
        turn = self._render_turn(message, calls_before)
        if calls and not self.syntax.exact:
            self._check_calls(calls, turn.removesuffix(self.call_end.token))
        return turn

    def _check_calls(self, calls: Sequence[dict[str, Any]], turn: str) -> None:
        """Raise InputError for calls that plain text cannot hold: a value with the mark that ends a value, say."""
        for read, call in zip_longest(self._calls_again(calls, turn), calls):
            function = call["function"] if call else None
            if read and function and (read.name, read.arguments) == (function["name"], function["arguments"]):
                continue
            said = (read and read.problem) or "it comes back as another"
            name = function["name"] if function else "a tool that is not called"
            raise InputError(f"the chat template cannot hold a call of {name} ({self.syntax.name}): {said[:120]}")

    def _calls_again(self, calls: Sequence[dict[str, Any]], turn: str) -> tuple[ParsedCall, ...]:
        """Read the calls of a rendered turn, with what is text in them typed as text."""
        schemas: dict[str, Any] = {}
        for function in (call["function"] for call in calls):
            texts = {key: {"type": "string"} for key, value in function["arguments"].items() if isinstance(value, str)}
            schemas.setdefault(function["name"], {"properties": {}})["properties"].update(texts)
        return self._parse_text(self._spelled(self._encode_escaped(turn)), schemas).calls

    def _render_turn(self, message: dict[str, Any], calls_before: int = 0) -> str:
        before = self._open_turn
        whole = self._render([_QUESTION, self._escaped_message(message)], calls_before, tools=_PROBE_TOOLS)
        thought = ""
        marks = self.syntax.thinking
        opened = marks.opened(before) if self.opens_thinking else None
        empty = f"{before[: opened.start()]}{marks.opening}{marks.closing}" if opened else None
        if empty and whole.startswith(empty):  # a turn without thinking, which the prompt has opened
            before = empty.removesuffix(marks.closing)
        elif opened and not whole.startswith(before):  # turns leave the thinking out that the prompt opens
            before = before[: opened.start()]
            shown = self._escaped_message({key: value for key, value in message.items() if key != "reasoning_content"})
            whole = self._render([_QUESTION, shown], calls_before, tools=_PROBE_TOOLS)
            thought = escape(message.get("reasoning_content") or "", self._specials)
            thought = f"{thought}\n{marks.closing}\n\n".lstrip("\n")
        if not whole.startswith(before):
            raise InputError(
                "the chat template does not only append: an assistant turn rewrites the prompt before it; "
                "model.chat_template names another"
            )
        end = self.end_of(message)
        if end.opens_next:
            return thought + whole[len(before) :] + end.token
        place = whole.rfind(end.token)
        if place < len(before):
            raise not_an_end(end.token)
        return thought + whole[len(before) : place] + end.token

    def _escaped_message(self, message: dict[str, Any], thinking: bool = True) -> dict[str, Any]:
        """Escape special tokens in text, which keeps tags with a meaning, and all tags in arguments.

        Reasoning and calls are left out where there are none: templates ask whether the key is there.
        """
        escaped: dict[str, Any] = {"role": "assistant", "content": self._escaped_text(message.get("content") or "")}
        if thinking and message.get("reasoning_content"):
            escaped |= dict.fromkeys(_THINKING_KEYS, escape(message["reasoning_content"], self._specials))
        calls = [{**call, "function": escape(call["function"], self._tags)} for call in message.get("tool_calls") or []]
        return self._with_calls(escaped, calls) if calls else escaped

    def _escaped_text(self, text: str) -> str:
        """Escape an assistant's text; a thought that it begins with keeps its marks, any other mark is no thinking."""
        start = self.syntax.thinking.leading(text)
        return str(escape(text[:start], self._specials) + escape(text[start:], self._unsaid))

    def _with_calls(self, message: dict[str, Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
        """Give a message its calls as the template takes them; as text where it leaves calls out."""
        if self.writes_calls or self.syntax.write is None:
            return {**message, "tool_calls": [self._as_template_takes(call) for call in calls]}
        content = message["content"]
        shown = {**message, "content": content + ("\n" if content else "") + self.syntax.write(calls)}
        shown.pop("tool_calls", None)
        return shown

    def _as_template_takes(self, call: dict[str, Any]) -> dict[str, Any]:
        """Give a call its arguments as text where the template takes no object."""
        function = call["function"]
        if self._arguments_as_text:
            call = {
                **call,
                "function": {**function, "arguments": json.dumps(function["arguments"], ensure_ascii=False)},
            }
        return call

    def _tool_ids(self, results: tuple[tuple[str, str], ...], calls_before: int = 0) -> tuple[int, ...]:
        """Encode what follows the end of a turn with calls: results as (tool name, text), the glue to the next turn."""
        called = results if self.parallel_calls else results[:1]
        calls = [make_call(name or _MARK, {"key": _MARK}, number) for number, (name, _) in enumerate(called)]
        messages: list[dict[str, Any]] = [
            _QUESTION,
            self._escaped_message({"content": _MARK if self.text_with_calls else "", "tool_calls": calls}),
            *(self._tool_message(name, text, number) for number, (name, text) in enumerate(results)),
        ]
        text = self._render(messages, calls_before, tools=_PROBE_TOOLS, add_generation_prompt=True)
        end = text.find(self.call_end.token, text.index(_MARK))
        if end < 0:
            raise not_an_end(self.call_end.token)
        return tuple(self._encode_escaped(self._opened_alike(text[end + len(self.call_end.token) :])))

    def _opened_alike(self, glue: str) -> str:
        """Open the thinking of a turn after results as after a question: some templates open only one of them."""
        marks = self.syntax.thinking
        own, asked = marks.opened(glue), marks.opened(self._open_turn)
        if own and not asked:
            return glue[: own.start()]
        return glue + asked[0] if asked and not own else glue

    def _tool_message(self, name: str, text: str, number: int) -> dict[str, Any]:
        """Write the result of the turn's call `number`."""
        return {
            "role": "tool",
            "tool_call_id": f"call_{number}",
            "name": escape(name, self._tags),
            "content": escape(text, self._tags),
        }

    def next_prompt(
        self, tokens: Tokens, turn: int, results: tuple[tuple[str, str], ...], calls_before: int = 0
    ) -> list[int]:
        """Return all ids that the next turn is sampled after.

        tokens: end with an assistant turn of `turn` ids, whose calls gave `results`. The ids continue the last segment
        of the tokens, unless that turn's thinking has to be removed. calls_before: the calls of the turns before it.
        """
        ids = tokens.last_segment()
        if self.think_history == "strip":
            ids = self._without_thinking(ids[:-turn], ids[-turn:])
        return [*ids, *self.after_turn(ids[-1], results, calls_before)]

    def after_turn(self, last: int, results: tuple[tuple[str, str], ...], calls_before: int = 0) -> list[int]:
        """Return what follows a turn with calls whose last token is `last`: its own end where that is another one."""
        glue = self.tool_ids(results, calls_before) if self._call_id == _COUNTED else self.tool_ids(results)
        return [*([] if last == self.call_end_id else [self.call_end_id]), *glue]

    def _without_thinking(self, before: list[int], turn: list[int]) -> list[int]:
        """Remove the ids of thinking from a prompt and its turn; a token that is half thinking is encoded again."""
        before = before[: len(before) - len(self._thinking_ids)]
        text = self._spelled(turn[:-1])  # without the token that it ended with
        _, visible = split_reasoning(text, self.syntax, self.opens_thinking)
        if visible == text:
            return before + turn
        shown = visible if self.syntax.thinking.each else escape(unescape(visible).lstrip(), self._specials)
        visible = unescape(shown)
        start = bisect_left(range(len(turn)), -len(visible), key=lambda place: -len(self.decode(turn[place:-1])))
        if self.decode(turn[start:-1]) == visible:
            return before + turn[start:]
        return [*before, *self._encode_escaped(shown), turn[-1]]

    def _find_thinking_ids(self) -> list[int]:
        """Find the ids at a prompt's end that open (or open and close) the turn's thinking; none where none does."""
        match = self.syntax.thinking.opened(self._open_turn)
        opening = self.encode(match[0]) if match else []
        if opening and self.encode(self._open_turn)[-len(opening) :] != opening:
            mark = self.syntax.thinking.opening
            raise InputError(f"the prompt's `{mark}` cannot be taken out of its tokens: set model.think_history=keep")
        return opening

    def render(self, trajectory: Trajectory) -> Tokens:
        """Render a teacher's trajectory as RL would see it: loss mask True on assistant turns, logprobs 0."""
        try:
            return self.render_messages(ordered(trajectory.messages), trajectory.tools)
        except InputError as error:
            raise InputError(f"trajectory {trajectory.task.id}: {error}") from error

    def render_messages(self, messages: Sequence[dict[str, Any]], tools: str) -> Tokens:
        """Render a conversation up to its last assistant message. tools: the schemas as JSON text.

        Trained are the assistant's turns after the first user message, except those of `weight` 0.
        """
        tokens = Tokens()
        turns: list[tuple[int, int, bool]] = []  # where each begins and ends, and whether it is trained
        since: list[dict[str, Any]] = []  # the messages after the last turn
        for place, message in enumerate(messages):
            if message["role"] != "assistant" or not (turns or any(m["role"] == "user" for m in since)):
                since.append(message)
                continue
            last = turns[-1][1] - turns[-1][0] if turns else 0
            tokens.append_prompt(self._context(tokens, last, messages[:place], since, tools))
            begin, ids = len(tokens), self.turn_ids(message, _calls_of(messages[:place]))
            tokens.append_sampled(ids, [0.0] * len(ids))
            turns.append((begin, len(tokens), message.get("weight") != 0))
            since = []
        for begin, end, trained in turns:
            if not trained:
                tokens.loss_mask[begin:end] = [False] * (end - begin)
        return tokens

    def _context(
        self, tokens: Tokens, last: int, before: Sequence[dict[str, Any]], since: Sequence[dict[str, Any]], tools: str
    ) -> list[int]:
        """Return all ids that the turn after `before` is written after; `since` of these are new to the tokens.

        last: how many ids the turn before it has.
        """
        if all(message["role"] == "tool" for message in since):
            results = tuple((m.get("name", ""), m["content"]) for m in since)
            return self.next_prompt(tokens, last, results, _calls_of(before) - len(since))
        text, said = self._prompt(before, tools), self.decode(tokens.last_segment())
        if unescape(text).startswith(said):
            return [*tokens.last_segment(), *self._encode_escaped(escaped_after(text, len(said)))]
        return self._encode_escaped(text)

    def template_text(self, messages: Sequence[dict[str, Any]], tools: str) -> str:
        """Render a whole conversation by the template alone, thinking included."""
        shown = []
        for message in self._with_system(messages, tools):
            if message["role"] == "user":
                message = {**message, "content": self.question_template.replace("{question}", message["content"])}
            if message.get("tool_calls"):
                message = self._with_calls(message, message["tool_calls"])
            if message["role"] == "assistant":
                message = {**message, "content": self._escaped_text(message.get("content") or "")}
            if message.get("reasoning_content"):
                message = message | dict.fromkeys(_THINKING_KEYS, message["reasoning_content"])
            shown.append(message)
        return unescape(self._render(shown, tools=json.loads(tools) or None))

    def _numbered(self, messages: list[dict[str, Any]], calls_before: int) -> list[dict[str, Any]]:
        """Give calls and results the ids that the template asks for: counted in a turn, or on from `calls_before`."""
        if self._call_id == _CALL_IDS[0]:
            return messages
        numbered, called, answered = [], calls_before, calls_before
        for message in messages:
            if message["role"] == "assistant" and self._call_id != _COUNTED:
                called = answered = 0
            if message.get("tool_calls"):
                calls = [(call, call["function"]["name"]) for call in message["tool_calls"]]
                ids = [self._call_id.format(number, name=name) for number, (_, name) in enumerate(calls, called)]
                listed = [{**call, "id": call_id} for (call, _), call_id in zip(calls, ids, strict=True)]
                message, called = {**message, "tool_calls": listed}, called + len(calls)
            if message["role"] == "tool":
                call_id = self._call_id.format(answered, name=message.get("name", ""))
                message, answered = {**message, "tool_call_id": call_id}, answered + 1
            numbered.append(message)
        return numbered

    @cached_property
    def thinking_end(self) -> str:
        """What the template writes between a turn's thinking and what follows: alike before text and before a call."""
        closing = self.syntax.thinking.closing
        turns: list[dict[str, Any]] = [{"content": _MARK}, {"content": "", "tool_calls": [_PROBES[0]]}]
        thought = f"{_MARK} thought"
        texts = [self.turn_text({"role": "assistant", "reasoning_content": thought, **turn}) for turn in turns]
        behind = [text.partition(thought)[2].partition(_MARK)[0] for text in texts]
        alike = commonprefix([text for text in behind if closing in text])
        return alike if closing in alike else f"\n{closing}\n\n"

    def close_thinking(self, token_ids: list[int]) -> list[int]:
        """Return the ids that close the thinking which the sampled ids of a turn leave open; none where it is not."""
        open_still = leaves_thinking_open(self._spelled(token_ids), self.syntax, self.opens_thinking)
        return self.encode(self.thinking_end) if open_still else []

    def parse(self, token_ids: list[int], tools: str = "[]") -> AssistantTurn:
        """Parse sampled ids into the assistant turn that they spell. tools: the schemas as JSON text, which type it."""
        return self._parse_text(self._spelled(self.without_end(token_ids)), self._schemas(tools))

    def _parse_text(self, text: str, schemas: Schemas) -> AssistantTurn:
        turn = parse_turn(text, self.syntax, self.opens_thinking, schemas)
        return turn.unescaped() if SPLIT in text else turn

    def _thinking_marks(self) -> tuple[str, str]:
        return self.syntax.thinking.opening, self.syntax.thinking.closing

    def _spelled(self, token_ids: list[int]) -> str:
        """Decode a turn; what only spells a mark of thinking, with the tokens of ordinary text, is escaped."""
        return decode_escaped(token_ids, self._marks, self.encode, self.decode)

    def truncate(self, text: str, limit: int | None) -> str:
        """Return the text, cut after `limit` tokens with a mark that says how many it had; None: uncut.

        A text that was cut so before is returned as it is.
        """
        if limit is None or len(text.encode()) <= limit:  # a token holds a byte or more
            return text
        ids = self.encode(text)
        cut = _CUT.fullmatch(text)
        if len(ids) <= limit or (cut is not None and len(self.encode(cut[1])) <= limit):
            return text
        return f"{self.decode(ids[:limit]).rstrip(_REPLACEMENT)} ...[cut, {len(ids)} tokens]"

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def decode(self, token_ids: list[int]) -> str:
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _encode_escaped(self, text: str) -> list[int]:
        return encode_escaped(text, self.encode)

    def _render(self, messages: list[dict[str, Any]], calls_before: int = 0, **options: Any) -> str:
        """Render messages as they are, with the ids of calls that the template asks for."""
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    self._numbered(messages, calls_before),
                    tokenize=False,
                    enable_thinking=self.enable_thinking,
                    strftime_now=_DATE.strftime,
                    date_string=_DATE.strftime("%d %b %Y"),
                    **options,
                )
            )
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
            said = f"the chat template refuses a conversation: {one_line(error)}"
            raise InputError(f"{said}; model.chat_template names another") from error

    def _read_ends(self, given: str | None) -> list[str]:
        """Read `model.end_of_turn`: the token that ends an answer, and the one that ends a turn with calls, or none."""
        tokens = given.split() if given is not None else []
        for token in tokens:
            if len(self.encode(token)) != 1:
                raise InputError(f"model.end_of_turn={token!r} is not one token of the tokenizer")
        if given is not None and len(tokens) not in (1, 2):
            raise InputError(
                f"model.end_of_turn={given!r} has {len(tokens)} tokens, accepted: the one that ends an answer, or that "
                "one, a space and the one that ends a turn with calls"
            )
        return tokens

    def _find_answer_end(self) -> TurnEnd:
        """Find what ends an answer. Raises InputError where nothing does and the tokenizer has no eos_token."""
        messages = [_QUESTION, {"role": "assistant", "content": _MARK}]
        alone, own = self._render(messages, tools=_PROBE_TOOLS), self.tokenizer.eos_token
        behind, opening = alone.rpartition(_MARK)[2], partial(self._opening, alone, [*messages, _QUESTION])
        if self._given_ends:
            return given_end(self._given_ends[0], behind, opening)
        found = answer_end(behind, opening, own, self._specials)
        if found is None and own is None:
            raise InputError("the tokenizer has no eos_token to end a turn with: set model.end_of_turn")
        return found or TurnEnd(str(own))

    def _call_ends(self, message: dict[str, Any]) -> list[TurnEnd]:
        """List what may end a turn with the probe's call; the end of an answer where the template refuses the turn."""
        messages = [_QUESTION, self._escaped_message(message)]
        try:
            alone = self._render(messages, tools=_PROBE_TOOLS)
        except InputError:
            return [self.answer_end]
        turn = alone[len(commonprefix((self._open_turn, alone))) :]
        opening = partial(self._opening, alone, [*messages, self._tool_message("probe_one", _MARK, 0)])
        if self._given_ends[1:]:
            return [given_end(self._given_ends[1], turn, opening)]
        return call_ends(turn, opening, self.answer_end, self._specials)

    def _opening(self, alone: str, messages: list[dict[str, Any]]) -> str | None:
        """Return what the template writes next where `messages` go on.

        None where it writes `alone` differently then, and where that begins as every turn does, the assistant's too.
        """
        try:
            longer = self._render(messages, tools=_PROBE_TOOLS)
        except InputError:
            return None
        assistants = self._open_turn.removeprefix(self._render([_QUESTION], tools=_PROBE_TOOLS))
        rest = longer.removeprefix(alone)
        return None if rest == longer or rest.startswith(tuple(self._specials.findall(assistants))) else rest

    def _unknown_syntax(self, shown: str) -> str:
        accepted = ", ".join(syntax.name for syntax in SYNTAXES)
        return (
            f"the chat template writes a call as {shown[:120]!r}, which is no call syntax of {accepted}: set "
            "model.call_syntax to one of them or to a file of your own (docs/chat_formats.md)"
            f"{stand_in(self.tokenizer.chat_template)}"
        )

    def _find_syntax(self, given: CallSyntax | None, uncertified: bool) -> CallSyntax:
        """Find the syntax that reads a rendered probe call as that call, and the ids and arguments the template takes.

        Raises InputError with what was rendered, or with what the template says of it.
        """
        message = {"role": "assistant", "content": "", "tool_calls": [_PROBES[0]]}
        calls = AssistantTurn.from_message(message).calls
        shown, refusal, self.syntax = "", None, given or HERMES
        for _ in self._ways_to_call(message):
            texts: dict[Thinking, str] = {}
            for self.syntax in (given,) if given else SYNTAXES:
                marks = self.syntax.thinking
                try:
                    text = texts[marks] = texts.get(marks) or self._render_turn(message)
                except InputError as error:  # with other marks, what the prompt opens may be thinking
                    refusal = refusal or error
                    continue
                if self._read(message, text).calls == calls:
                    return self.syntax
                shown = shown or text.removesuffix(self.call_end.token)
        self.syntax = given or HERMES
        next(self._ways_to_call(message))
        if given is None:
            raise refusal if refusal and not shown else InputError(self._unknown_syntax(shown))
        if "probe_one" not in shown and given.write is not None:
            self.writes_calls = False
            next(self._ways_to_call(message))
            if self._read(message, self._render_turn(message)).calls == calls:
                return given
        if not uncertified:
            said = f"writes a call as {shown[:120]!r}" if shown else str(refusal)
            raise InputError(
                f"the chat template does not spell calls as model.call_syntax={given.name} reads them: {said}; "
                "model.uncertified=true uses it anyway"
            )
        self.writes_calls = True
        return given

    def _ways_to_call(self, message: dict[str, Any]) -> Iterator[None]:
        """Set the ids and arguments of calls that a template may take, and what may end the turn, one after another."""
        for self._call_id, self._arguments_as_text in product(_CALL_IDS, (False, True)):
            ends = self._call_ends(message)
            for self.call_end in ends:
                yield

    def _read(self, message: dict[str, Any], turn: str) -> AssistantTurn:
        """Read the rendered turn of a probe."""
        text = unescape(turn).removesuffix(self.end_of(message).token)
        return parse_turn(text, self.syntax, self.opens_thinking, self._schemas(json.dumps(_PROBE_TOOLS)))

    def _holds(self, message: dict[str, Any]) -> bool:
        """Check that an assistant message survives rendering and parsing."""
        try:
            text = self._render_turn({"role": "assistant", **message})
        except InputError:
            return False
        return self._read(message, text) == AssistantTurn.from_message(message, self.syntax)

    def _keeps_before_results(self, message: dict[str, Any]) -> bool:
        """Whether the content of a turn with a call is not moved behind the call's result."""
        shown = [_QUESTION, self._escaped_message(message), self._tool_message("probe_one", "probe result", 0)]
        try:
            text = self._render(shown, tools=_PROBE_TOOLS)
        except InputError:
            return False
        return text.rfind(message["content"]) < text.rfind("probe result")

    def _takes(self, messages: list[dict[str, Any]]) -> bool:
        """Whether the template renders what every message says."""
        try:
            text = self._render(messages, tools=_PROBE_TOOLS, add_generation_prompt=True)
        except InputError:
            return False
        return all(message["content"] in text for message in messages)


def _calls_of(messages: Sequence[dict[str, Any]]) -> int:
    """How many calls the messages make."""
    return sum(len(message.get("tool_calls") or ()) for message in messages)


def _schemas_of(tools: str) -> Schemas:
    """The parameters of each tool of a text of schemas."""
    functions = [schema["function"] for schema in json.loads(tools)]
    return {function["name"]: function.get("parameters") or {} for function in functions}


def _stands_in(said: str, text: str) -> bool:
    """Whether a text holds what was said, as it is or as a JSON string."""
    return said in text or json.dumps(said, ensure_ascii=False)[1:-1] in text
