"""Call syntaxes: how a chat template spells a call, and how it is read. A malformed call is data, not an exception.

TABLE is all that differs between them; a user's own is a YAML file of the same keys, or a Python file with
`find_calls(text, schemas)`. What transformers (`parse_response`), vLLM and the `renderers` package have reads
well-formed turns too, but they drop malformed calls or pass them on as text. A student has to see those as errors.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from mentor.chat.channel_calls import FRAME, ChannelCalls
from mentor.chat.named_calls import NamedCalls
from mentor.chat.object_calls import BareObject, ObjectList, TaggedObjects
from mentor.chat.parsed import FoundCall, ParsedCall, Schemas
from mentor.chat.python_calls import PythonCalls
from mentor.chat.spelling import Spelling
from mentor.chat.thinking import THINK, Thinking
from mentor.errors import InputError, one_line

TABLE = (
    Spelling("hermes", "<tool_call>\n{object}\n</tool_call>", "object"),
    Spelling("llama", "{object}", "object", keys=("name", "parameters"), before="<|python_tag|>"),
    Spelling(
        "xml_function",
        "<tool_call>\n<function={name}>\n{arguments}</function>\n</tool_call>",
        "pairs",
        pair="<parameter={key}>\n{value}\n</parameter>\n",
    ),
    Spelling(
        "seed_oss",
        "<seed:tool_call>\n<function={name}>\n{arguments}</function>\n</seed:tool_call>",
        "pairs",
        pair="<parameter={key}>{value}</parameter>\n",
        thinking=("<seed:think>", "</seed:think>"),
    ),
    Spelling(
        "glm",
        "<tool_call>{name}\n{arguments}</tool_call>",
        "pairs",
        pair="<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n",
    ),
    Spelling(
        "minimax",
        '<invoke name="{name}">\n{arguments}</invoke>\n',
        "pairs",
        pair='<parameter name="{key}">{value}</parameter>\n',
        section=("<minimax:tool_call>\n", "</minimax:tool_call>"),
        separator="",
    ),
    Spelling(
        "lfm2", "{name}({arguments})", "python", section=("<|tool_call_start|>[", "]<|tool_call_end|>"), separator=", "
    ),
    Spelling("olmo3", "{name}({arguments})", "python", section=("<function_calls>", "</function_calls>")),
    Spelling("pythonic", "{name}({arguments})", "python", section=("[", "]"), separator=", "),
    Spelling("mistral", "{object}", "list", section=("[TOOL_CALLS][", "]"), separator=", "),
    Spelling("mistral_args", "[TOOL_CALLS]{name}[ARGS]{arguments}", separator="", thinking=("[THINK]", "[/THINK]")),
    Spelling(
        "command",
        "{object}",
        "list",
        section=("<|START_ACTION|>[\n", "\n]<|END_ACTION|>"),
        separator=",\n",
        keys=("tool_name", "parameters"),
        thinking=("<|START_THINKING|>", "<|END_THINKING|>"),
    ),
    Spelling("json_list", "{object}", "list", section=("[", "]"), separator=", "),
    Spelling(
        "gemma",
        "<|tool_call>call:{name}{arguments}<tool_call|>",
        "map",
        separator="",
        thinking=("<|channel>thought", "<channel|>"),
    ),
    Spelling(
        "kimi",
        "<|tool_call_begin|>functions.{name}:{number}<|tool_call_argument_begin|>{arguments}<|tool_call_end|>",
        section=("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
        separator="",
    ),
    Spelling(
        "deepseek_v3",
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```<｜tool▁call▁end｜>",
        section=("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    ),
    Spelling(
        "deepseek_v3_1",
        "<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>",
        section=("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
        separator="",
    ),
    Spelling(
        "harmony",
        " to=functions.{name}<|channel|>commentary json<|message|>{arguments}",
        "channel",
        separator="<|call|><|start|>assistant",
        thinking=("<|channel|>analysis<|message|>", "<|end|><|start|>assistant"),
        frame=FRAME,
    ),
    Spelling(
        "atem",
        '<atem:function_calls>\n<atem:invoke name="{name}">\n{arguments}</atem:invoke>\n</atem:function_calls>',
        "pairs",
        pair='<atem:parameter name="{key}">{value}</atem:parameter>\n',
        separator="<|eom|><|start|>assistant",
        thinking=("to=self<|message|>", "<|eom|><|start|>assistant"),
        frame=r"(?:\A|<\|start\|>assistant)\s*(?:to=[^\s<]{1,300})?<\|message\|>|<\|(?:start\|>assistant|eom\|>)",
        header=" to={name}<|message|>",
    ),
)
"""The syntaxes that a template is tried with, in this order."""


@dataclass(frozen=True)
class CallSyntax:
    """One syntax, ready to read.

    mention: what a call inside reasoning begins with. write: calls in the OpenAI shape as text; None without a
    spelling. exact: whether any value comes back from any text; where values are plain text, some do not.
    origin: what tells two syntaxes of one name apart. thinking: the marks around the thinking of its models.
    frame: what is no part of the text of a turn of several messages.
    """

    name: str
    reader: Callable[[str, Schemas], list[FoundCall]]
    mention: re.Pattern[str]
    write: Callable[[Sequence[Mapping[str, Any]]], str] | None = None
    exact: bool = True
    origin: str = ""
    thinking: Thinking = THINK
    frame: re.Pattern[str] | None = None

    def find(self, text: str, schemas: Schemas | None = None) -> list[FoundCall]:
        """Find the calls of a text in order, without overlap. schemas: of the tools, which type plain text."""
        return self.reader(text, schemas or {})

    def without_frame(self, content: str) -> str:
        """Return the text of a turn without what opens and ends its messages."""
        pieces = self.frame.split(content) if self.frame else [content]
        return "\n".join(piece.strip() for piece in pieces if piece.strip())


def build_syntax(spelling: Spelling) -> CallSyntax:
    reader = _reader(spelling)
    exact = spelling.arguments in ("object", "list", "json", "channel")
    thinking = Thinking(*spelling.thinking, each=bool(spelling.frame))
    frame = re.compile(spelling.frame, re.DOTALL) if spelling.frame else None
    return CallSyntax(
        spelling.name, reader.find, reader.mention, spelling.write, exact, repr(spelling), thinking, frame
    )


def _reader(spelling: Spelling) -> NamedCalls | PythonCalls | TaggedObjects | BareObject | ObjectList | ChannelCalls:
    if spelling.arguments == "object":
        return BareObject(spelling) if spelling.call == "{object}" else TaggedObjects(spelling)
    if spelling.arguments == "list":
        return ObjectList(spelling)
    if spelling.arguments == "channel":
        return ChannelCalls(spelling)
    return PythonCalls(spelling) if spelling.arguments == "python" else NamedCalls(spelling)


SYNTAXES = tuple(map(build_syntax, TABLE))
HERMES, LLAMA = SYNTAXES[:2]


def load_syntax(name: str) -> CallSyntax:
    """Return a syntax of the table by its name, or load a user's own `.yaml` or `.py`. Raises InputError."""
    known = {syntax.name: syntax for syntax in SYNTAXES}
    if name in known:
        return known[name]
    path, origin = Path(name), f"model.call_syntax={name}"
    if path.suffix not in (".yaml", ".yml", ".py"):
        raise InputError(f"{origin} is not one of {', '.join(known)}, nor a .yaml or .py file")
    if not path.is_file():
        raise InputError(f"{origin} is not a file")
    if path.suffix == ".py":
        return _python_syntax(path, origin)
    text = path.read_text(encoding="utf-8")
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{origin} is no YAML: {one_line(error)}") from error
    return build_syntax(Spelling.from_values(values, origin))


def _python_syntax(path: Path, origin: str) -> CallSyntax:
    """Load a user's parser: `find_calls(text, schemas)` yields `(start, end, name, arguments, problem)`."""
    find_calls = runpy.run_path(str(path)).get("find_calls")
    if not callable(find_calls):
        raise InputError(f"{origin} defines no function find_calls(text, schemas)")

    def find(text: str, schemas: Schemas) -> list[FoundCall]:
        rows: Iterable[tuple[int, int, str | None, dict[str, Any], str | None]] = find_calls(text, schemas)
        return [FoundCall(start, end, ParsedCall(name, arguments, why)) for start, end, name, arguments, why in rows]

    return CallSyntax(path.stem, find, re.compile(r"(?!)"), None, False, path.read_text(encoding="utf-8"))
