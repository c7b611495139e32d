"""Calls in the syntaxes of chat templates."""

import random
import re
import sys
import threading
import time

import pytest

from mentor.chat import ParsedCall, parse_turn
from mentor.chat.json_text import TOO_DEEP
from mentor.chat.messages import make_call
from mentor.chat.syntax import HERMES, LLAMA, SYNTAXES, load_syntax
from mentor.errors import InputError

BARE = '{"name": "add", "parameters": {"a": 1, "b": 2}}'
ADD = ParsedCall("add", {"a": 1, "b": 2})
SCHEMAS = {"add": {"type": "object", "properties": {"s": {"type": "string"}, "x": {}, "a": {"type": "integer"}}}}
ALL = [pytest.param(syntax, id=syntax.name) for syntax in SYNTAXES]


@pytest.mark.parametrize("syntax", ALL)
@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_nesting_ends_alike_on_a_thread_with_a_small_stack(syntax, depth):
    written = syntax.write([make_call("add", {"x": "DEEP", "a": 1})])
    text = re.sub(r'(<\|"\|>|"|)DEEP\1', "[" * depth + "]" * depth, written)
    assert "[" * depth in text
    found = []

    def read(frames: int) -> None:
        read(frames - 1) if frames else found.append(parse_turn(text, syntax, schemas=SCHEMAS))

    before = threading.stack_size(256 * 1024)
    try:
        threads = [threading.Thread(target=read, args=(frames,)) for frames in (0, 300)]
        for thread in threads:
            thread.start()
            thread.join()
    finally:
        threading.stack_size(before)
    read(0)
    read(sys.getrecursionlimit() // 2)
    assert len(found) == 4 and found.count(found[0]) == 4
    (call,) = found[0].calls
    if call.problem is None:  # plain text, which may be any: what is no JSON that can be read stays text
        assert not syntax.exact and call.arguments["x"] == "[" * depth + "]" * depth
    else:
        assert TOO_DEEP in call.problem


def tagged(arguments: str) -> str:
    return f'<tool_call>\n{{"name": "add", "arguments": {arguments}}}\n</tool_call>'


@pytest.mark.parametrize("syntax", ALL)
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "<tool_call>",
            '<tool_call>{"</tool_call>",',
            '<tool_call>{"a":{"a":',
            '{"name":"',
            "<think><tool_call>",
            " \n",
        ),
        *("[f(a='", "<|tool_call_start|>[f(a=[", "<tool_call>\n<function=f>\n<parameter=a>", "[TOOL_CALLS]["),
        *("<tool_call>f<arg_key>a</arg_key>", "[TOOL_CALLS]f[ARGS]{", "<|tool_call>call:f{a:<|", "<function_calls>f("),
    ],
)
def test_a_turn_of_many_broken_calls_is_read_in_bounded_time(piece, syntax):
    began = time.process_time()
    parse_turn(piece * 3000, syntax)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("syntax", ALL)
def test_what_is_written_is_read(syntax):
    arguments = {"s": " two\nlines, 2 'quotes' \"\\ \n", "a": 2, "x": {"list": [1, 2.5, None, True, {"k": "🙂"}]}}
    calls = [make_call("add", arguments)] if syntax is LLAMA else [make_call("add", arguments), make_call("add", {}, 1)]
    text = syntax.write(calls)
    found = syntax.find(text, SCHEMAS)
    assert [(one.call.name, one.call.arguments, one.call.problem) for one in found] == [
        ("add", call["function"]["arguments"], None) for call in calls
    ]
    assert parse_turn(text, syntax, schemas=SCHEMAS).content == "" and len(syntax.mention.findall(text)) >= 1


@pytest.mark.parametrize("syntax", ALL)
def test_an_answer_is_text(syntax):
    for answer in ("The answer is \\boxed{19}.", "[1, 2] has two members.", "{1, 2}", "f(x) = 2", "[f(x)](url)", ""):
        assert parse_turn(answer, syntax) == parse_turn(answer, HERMES)


@pytest.mark.parametrize("syntax", ALL)
def test_a_call_that_is_cut_short_is_malformed_or_text_and_never_an_exception(syntax):
    text = "" if syntax.name in ("llama", "json_list", "pythonic") else "Now: "
    text += syntax.write([make_call("add", {"s": "x", "a": 2, "x": [{"b": None}]})])
    for end in range(len(text)):
        calls = parse_turn(text[:end], syntax, schemas=SCHEMAS).calls
        assert all(call.problem or end > len(text) - 30 for call in calls)


@pytest.mark.parametrize("syntax", ALL)
def test_noise_in_a_call_is_data(syntax):
    draw = random.Random(7)
    text = syntax.write([make_call("add", {"s": "x <tag> y", "a": 2, "x": [{"b": None}]})])
    for _ in range(200):
        start, end = sorted(draw.sample(range(len(text)), 2))
        noise = draw.choice(["", "<", ">", '"', "'", "\\", "{", "]", "\n", text[start:end], "\ud83d", "9" * 5000])
        broken = text[:start] + noise + text[draw.choice([start, end]) :]
        found = syntax.find(broken, SCHEMAS)
        assert all(a.end <= b.start for a, b in zip(found, found[1:], strict=False))
        assert all(0 <= one.start <= one.end <= len(broken) for one in found)
        assert all(one.call.problem or (one.call.name and isinstance(one.call.arguments, dict)) for one in found)


@pytest.mark.parametrize("syntax", ALL)
def test_deep_nesting_is_malformed_with_one_text(syntax):
    value: list = []
    for _ in range(300):
        value = [value]
    text = syntax.write([make_call("add", {"x": value})])
    calls = parse_turn(text, syntax, schemas=SCHEMAS).calls
    if syntax.exact or syntax.name in ("lfm2", "olmo3", "pythonic", "gemma"):
        assert len(calls) == 1 and TOO_DEEP in (calls[0].problem or "")
    else:  # plain text that is no value stays text, which the tool's schema refuses
        assert calls[0].problem is None and calls[0].arguments["x"].startswith("[[[")


def test_hermes_calls_are_found_with_the_characters_that_spell_them():
    text = f"Look: {tagged('{}')} and </tool_call>"
    first, second = HERMES.find(text)
    assert text[first.start : first.end] == tagged("{}") and text[second.start : second.end] == "</tool_call>"
    assert (first.call, second.call.problem) == (ParsedCall("add", {}), "</tool_call> without <tool_call>")


def test_arguments_under_another_key_are_malformed():
    (call,) = parse_turn('<tool_call>\n{"name": "stock", "parameters": {"item": "rope"}}\n</tool_call>').calls
    assert call.problem == 'the arguments of a call are under "arguments", got "parameters"' and call.name == "stock"


def test_a_mention_is_what_a_call_begins_with():
    assert len(HERMES.mention.findall("<tool_call> or <tool_call>{}</tool_call>")) == 2
    assert len(LLAMA.mention.findall(f"{BARE} {{}}")) == 1


# --- a user's own ----------------------------------------------------------------------------------------------------


def test_a_syntax_is_loaded_by_name_or_from_a_file(tmp_path):
    assert load_syntax("hermes") is HERMES
    path = tmp_path / "mine.yaml"
    path.write_text('name: mine\ncall: "<use {name}>{arguments}</use>"\n')
    mine = load_syntax(str(path))
    assert mine.find('Now <use add>{"a": 1, "b": 2}</use>')[0].call == ADD and mine.exact
    path = tmp_path / "mine.py"
    path.write_text(
        "def find_calls(text, schemas):\n"
        "    if text.startswith('!'):\n"
        "        yield 0, len(text), text[1:], {}, None if text[1:] in schemas else 'no such tool'\n"
    )
    mine = load_syntax(str(path))
    assert parse_turn("!add", mine, schemas=SCHEMAS).calls == (ParsedCall("add", {}),)
    assert parse_turn("!sub", mine, schemas=SCHEMAS).calls[0].problem == "no such tool"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("nobody", None, "model.call_syntax=nobody is not one of hermes, llama"),
        ("missing.yaml", None, "missing.yaml is not a file"),
        ("broken.yaml", "a: [", "is no YAML"),
        ("empty.yaml", "", "holds no call syntax"),
        ("empty.py", "x = 1", "defines no function find_calls"),
    ],
)
def test_a_syntax_that_cannot_be_loaded_is_refused(tmp_path, name, text, said):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as error:
        load_syntax(str(path) if "." in name else name)
    assert said in str(error.value)
