"""What is written in each syntax is read by vLLM's parser of the family, and gpt-oss's by OpenAI's, as it is here.

vLLM has no parser of Command without a further package. Where the two differ, DIFFER says in which golden conversation
and why; a new difference fails, and one that is gone too.
"""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from mentor.chat.golden import CONVERSATIONS, TOOLS
from mentor.chat.syntax import TABLE, load_syntax
from tests.fixtures.byte_tokenizer import byte_tokenizer
from tests.fixtures.installed import needs

PARSERS = {
    "hermes": "hermes",
    "llama": "llama3_json",
    "xml_function": "qwen3_coder",
    "seed_oss": "seed_oss",
    "glm": "glm45",
    "minimax": "minimax_m2",
    "lfm2": "lfm2",
    "olmo3": "olmo3",
    "pythonic": "pythonic",
    "mistral": "mistral",
    "mistral_args": "mistral",
    "json_list": "xlam",
    "gemma": "gemma4",
    "kimi": "kimi_k2",
    "deepseek_v3": "deepseek_v3",
    "deepseek_v3_1": "deepseek_v31",
    "atem": "muse_glimmer",
}

TAGS, NAMES, EMPTY = "tags in arguments", "tags in the name of an argument", "empty values in arguments"
QUOTES = "quotes and escapes in arguments"
ENDS = "the end-of-turn tag inside an argument is dropped"
UNKNOWN = "an argument that no schema names is text"
TYPED = "text that spells a value is that value, whatever the schema says"
CUT = "a tag inside an argument ends it"
NO_WORD = "the name of an argument is no word: no call here, nothing there"

DIFFER: dict[str, dict[str, str]] = {
    "hermes": dict.fromkeys((TAGS, NAMES), CUT),
    "llama": {},
    "xml_function": {TAGS: ENDS, NAMES: ENDS, EMPTY: UNKNOWN},
    "seed_oss": {
        TAGS: ENDS,
        NAMES: ENDS,
        EMPTY: UNKNOWN,
        "line ends around an argument": "one line end around a value is removed",
    },
    "glm": {TAGS: CUT, NAMES: CUT, EMPTY: UNKNOWN},
    "minimax": {TAGS: ENDS, NAMES: ENDS, EMPTY: UNKNOWN},
    "lfm2": {NAMES: NO_WORD},
    "olmo3": {NAMES: NO_WORD, QUOTES: "a line separator (U+2028) is dropped"},
    "pythonic": {NAMES: NO_WORD},
    "mistral": {},
    "mistral_args": {TAGS: ENDS, NAMES: ENDS},
    "json_list": {},
    "gemma": {
        TAGS: ENDS,
        NAMES: ENDS,
        EMPTY: UNKNOWN,
        **dict.fromkeys(("a NUL name in an argument", "nested arguments", "numbers in arguments"), UNKNOWN),
    },
    "kimi": {TAGS: ENDS, NAMES: ENDS},
    "deepseek_v3": {},
    "deepseek_v3_1": {},
    "atem": {
        NAMES: CUT,
        **dict.fromkeys(("tool after tool", "thinking in every turn"), TYPED),
        **{f"text that spells {value}": TYPED for value in ("2", "true", "null", "[1]", '{"a": 1}')},
    },
}
"""Syntax -> golden conversation -> in what vLLM's parser differs."""

SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in json.loads(TOOLS)}
SPELLINGS = {spelling.name: spelling for spelling in TABLE}


def turns(parallel: bool) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The calls of every golden turn, by conversation."""
    for talk in CONVERSATIONS:
        for calls in (message.get("tool_calls") for message in talk.messages):
            if calls and (parallel or len(calls) == 1):
                yield talk.name, calls


def written(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@pytest.fixture(scope="module")
def vllm_parsers():
    from vllm import tool_parsers

    logging.getLogger("vllm").setLevel(logging.CRITICAL)  # it logs each call that it cannot read
    return tool_parsers.ToolParserManager


@pytest.mark.slow
@needs("vllm")
@pytest.mark.parametrize("name", PARSERS)
def test_calls_are_read_as_by_vllm(vllm_parsers, name):
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest, ChatCompletionToolsParam

    tools = json.loads(TOOLS)
    request = ChatCompletionRequest(messages=[{"role": "user", "content": "x"}], model="m", tools=tools)
    syntax, spelling = load_syntax(name), SPELLINGS[name]
    spelled = " ".join(
        [spelling.header, spelling.call, spelling.pair, spelling.separator, spelling.before]
        + [*spelling.section, *spelling.thinking]
    )
    tags = sorted(set(re.findall(r"<\|[^<>\s]+>|<[^<>\s]+\|>|<｜[^<>\s]+｜>|\[/?[A-Z_]+\]|</?\w+(?::\w+)?>", spelled)))
    tokenizer = byte_tokenizer(tags)
    differ = {}
    for conversation, calls in turns(parallel=name != "llama"):
        text = syntax.write(calls)
        ours = [(found.call.name, found.call.arguments) for found in syntax.find(text, SCHEMAS)]
        parser = vllm_parsers.get_tool_parser(PARSERS[name])(
            tokenizer, [ChatCompletionToolsParam(**tool) for tool in tools]
        )
        read = parser.extract_tool_calls(text, request).tool_calls
        theirs = [(call.function.name, json.loads(call.function.arguments)) for call in read]
        if written(ours) != written(theirs):
            differ[conversation] = (ours, theirs)
    assert set(differ) == set(DIFFER[name]), differ


def test_messages_of_gpt_oss_are_read_as_by_openai():
    harmony = pytest.importorskip("openai_harmony", reason="openai_harmony is not installed")
    try:
        encoding = harmony.load_harmony_encoding(harmony.HarmonyEncodingName.HARMONY_GPT_OSS)
    except harmony.HarmonyError as error:
        pytest.skip(f"its vocabulary cannot be loaded: {error}")
    syntax = load_syntax("harmony")
    for _, calls in turns(parallel=True):
        thought = "<|channel|>analysis<|message|>Which?<|end|><|start|>assistant"
        ids = encoding.encode(f"{thought}{syntax.write(calls)}<|call|>", allowed_special="all")
        _, *messages = encoding.parse_messages_from_completion_tokens(ids, harmony.Role.ASSISTANT)
        theirs = [(message.recipient, json.loads(message.content[0].text)) for message in messages]
        assert theirs == [(f"functions.{call['function']['name']}", call["function"]["arguments"]) for call in calls]
        (read,) = [found.call for found in syntax.find(syntax.write(calls[:1]))]
        assert (f"functions.{read.name}", read.arguments) == theirs[0]
