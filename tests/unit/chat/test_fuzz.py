"""Whatever a student writes: parsed, validated, run and answered, without an exception and in bounded time."""

import asyncio
import json
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mentor.chat import ChatFormat
from mentor.chat.golden import TOOLS as ADD_TOOL
from mentor.chat.messages import make_call
from mentor.chat.parsed import ParsedCall
from mentor.chat.syntax import SYNTAXES, TABLE
from mentor.tools import ToolExecutor, Toolset, error_text
from mentor.types import CallError, Tokens, ToolResult
from tests.fixtures.call_templates import CALL_TEMPLATES
from tests.fixtures.chat_templates import ONE_BARE_CALL, OPENS_THINKING, THINKING, with_template

TAGS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>", "<|im_start|>"]
TAGS += [
    "<|im_end|>",
    "<|endoftext|>",
    "<|python_tag|>",
    '{"name": ',
    '"arguments": ',
    '"parameters": ',
    '{"',
    '"}',
    "}}",
]
LONG = "an integer of 5,000 digits"
NAMES = st.sampled_from([*Toolset.builtin("calculator").names, "unknown", ""]) | st.text(max_size=8)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from([LONG, *TAGS])
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=4,
)
KEYS = st.sampled_from(["a", "b", "x", "n", "values", "digits"]) | st.text(max_size=4)


def spell(name: object, arguments: object, key: str, closing: str) -> str:
    text = f'{{"name": {json_like(name)}, "{key}": {json_like(arguments)}}}'
    return f"<tool_call>\n{text}\n{closing}" if key == "arguments" else text


def json_like(value: object) -> str:
    """Mostly JSON; with NaN, integers of 5,000 digits and unescaped control characters among the values."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json_like(key)}: {json_like(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_like, value)) + "]"
    if value == LONG:
        return "9" * 5000
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return repr(value)


NUMBERS = st.integers(-1000, 1000) | st.floats(-1e6, 1e6)
GOOD_ARGUMENTS = st.fixed_dictionaries({"a": NUMBERS, "b": NUMBERS})
CALLS = st.builds(
    spell,
    NAMES,
    GOOD_ARGUMENTS | st.dictionaries(KEYS, VALUES, max_size=4) | VALUES,
    st.sampled_from(["arguments", "arguments", "parameters"]),
    st.sampled_from(["</tool_call>", "</tool_call>", "</tool_call>", "", "</think>"]),
)
PIECES = (
    CALLS
    | st.sampled_from(TAGS)
    | st.text(max_size=20)
    | st.builds(str.__mul__, st.sampled_from(["[", "{", *TAGS]), st.integers(1, 100))
)
OUTPUTS = st.lists(PIECES, max_size=4).map("".join)
REFUSED = (CallError.MALFORMED, CallError.UNKNOWN_TOOL, CallError.INVALID_ARGUMENTS)
SECONDS = 3.0  # to read an output and render its results, and again for each of its calls, whose own limit is 2


@pytest.fixture(scope="module")
def formats(chat) -> list[ChatFormat]:
    return [chat, *(with_template(chat, template) for template in (ONE_BARE_CALL, THINKING, OPENS_THINKING))]


@pytest.fixture(scope="module")
def execute():
    """Runs one parsed call in a real sandbox, as a rollout would."""
    with asyncio.Runner() as runner:
        executor = ToolExecutor(Toolset.builtin("calculator"))
        runner.run(executor.__aenter__())

        def run(call: ParsedCall) -> ToolResult:
            if call.problem is not None:
                return ToolResult(error_text(CallError.MALFORMED, call.problem), False, CallError.MALFORMED)
            return runner.run(executor.call(call.name or "", call.arguments))

        yield run
        runner.run(executor.__aexit__(None, None, None))


def answer(chat: ChatFormat, execute, output: str, seen: Counter[str]) -> None:
    """One sampled turn and what follows it, with everything that must hold of any; counts what became of calls."""
    began = time.perf_counter()
    sampled = [*chat.encode(output), chat.eos_id]
    tokens = Tokens()
    tokens.append_context(chat.prompt_ids("What is 2 plus 3?", "[]"))
    prompt = len(tokens)
    tokens.append_sampled(sampled, [-0.5] * len(sampled))
    turn = chat.parse(sampled)
    outcomes = [execute(call) for call in turn.calls]
    seen.update(result.error or "ok" for result in outcomes)
    seen["hidden"] += turn.hidden_calls
    results = [(call.name or "", result.text) for call, result in zip(turn.calls, outcomes, strict=True)]
    if results:
        context = chat.tool_ids(tuple(results))
        tokens.append_context(context)
        assert context.count(chat.eos_id) == 1  # of the message that holds the results
        shown = chat.decode(list(context))
        assert all(text in shown or json.dumps(text, ensure_ascii=False) in shown for _, text in results)
    assert tokens.token_ids[prompt : prompt + len(sampled)] == sampled
    assert tokens.loss_mask == [prompt <= t < prompt + len(sampled) for t in range(len(tokens))]
    assert len(tokens.token_ids) == len(tokens.loss_mask) == len(tokens.logprobs)
    assert chat.decode(sampled) == output + chat.eos_token
    for call in turn.calls:
        assert call.problem or (call.name and isinstance(json.dumps(call.arguments, allow_nan=False).encode(), bytes))
    assert turn.hidden_calls == 0 or turn.reasoning
    assert time.perf_counter() - began < SECONDS * (1 + len(turn.calls))


def fuzz(formats: list[ChatFormat], execute, outputs: int) -> None:
    """Every drawn text is what a student of each format writes, so a quarter as many are drawn."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=outputs // len(formats),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(output=OUTPUTS)
    def check(output: str) -> None:
        for chat in formats:
            answer(chat, execute, output, seen)
        seen["outputs"] += len(formats)

    check()
    assert seen["outputs"] >= outputs
    assert min(seen[kind] for kind in ("ok", *REFUSED, "hidden")) > outputs / 100, seen


SPELLED = [
    part for one in TABLE for part in (one.header, one.call, one.pair, one.separator, *one.section, *one.thinking)
]
CALL_MARKS = sorted({mark for part in SPELLED for mark in part.split()})
MARKED = st.lists(st.sampled_from([*CALL_MARKS, *TAGS]) | st.text(max_size=8) | CALLS, max_size=6).map("".join)


@st.composite
def spelled(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Calls with arguments of any kind, to be spelled in a format's own syntax."""
    names = draw(st.lists(st.sampled_from(["add", "unknown tool", "n"]) | st.text(max_size=6), min_size=1, max_size=3))
    arguments = st.dictionaries(KEYS, VALUES.filter(lambda value: json_value(value)), max_size=4)
    return [make_call(name, draw(arguments), number) for number, name in enumerate(names)]


def json_value(value: object) -> bool:
    try:
        return bool(json.dumps(value, allow_nan=False).encode())
    except ValueError:
        return False


def check_output(one: ChatFormat, output: str) -> int:
    """Whatever is written, ids and mask are aligned and its results rendered; returns how many calls are right."""
    sampled = [*one.encode(output), one.eos_id]
    tokens = Tokens()
    tokens.append_context(one.prompt_ids("What is 2 plus 3?", ADD_TOOL))
    prompt = len(tokens)
    tokens.append_sampled(sampled, [-0.5] * len(sampled))
    turn = one.parse(sampled, ADD_TOOL)
    if turn.calls:
        tokens.append_prompt(
            one.next_prompt(tokens, len(sampled), tuple((call.name or "", call.problem or "5") for call in turn.calls))
        )
    assert tokens.token_ids[prompt : prompt + len(sampled)] == sampled
    assert tokens.loss_mask == [prompt <= t < prompt + len(sampled) for t in range(len(tokens))]
    for call in turn.calls:
        assert call.problem or (call.name and isinstance(json.dumps(call.arguments, allow_nan=False).encode(), bytes))
    return sum(call.problem is None for call in turn.calls)


def fuzz_syntaxes(one_of_each: list[ChatFormat], outputs: int) -> Counter[str]:
    """Half of the outputs are calls in a format's own syntax, with noise around them; half are marks at random.

    What is drawn is spelled in every syntax. Returns how many outputs and well-formed calls each syntax had.
    """
    seen: Counter[str] = Counter()

    @settings(
        max_examples=outputs // 2,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(calls=spelled(), before=st.sampled_from(["", "", "Text. "]), after=MARKED, noise=MARKED)
    def check(calls: list[dict[str, Any]], before: str, after: str, noise: str) -> None:
        for one in one_of_each:
            assert one.syntax.write is not None
            well_formed = check_output(one, before + one.syntax.write(calls) + after)
            well_formed += check_output(one, noise)
            seen.update({f"{one.syntax.name} outputs": 2, f"{one.syntax.name} calls": well_formed})

    check()
    return seen


@pytest.fixture(scope="module")
def one_of_each(chat) -> list[ChatFormat]:
    """A format of each syntax: those of the tiny student and of Llama's manner, and of a template for each other."""
    return [chat, *(with_template(chat, template) for template in (ONE_BARE_CALL, *CALL_TEMPLATES.values()))]


def assert_each(seen: Counter[str], outputs: int) -> None:
    for name in (syntax.name for syntax in SYNTAXES):
        assert seen[f"{name} outputs"] >= outputs and seen[f"{name} calls"] > outputs / 50, (name, seen)


def test_fuzzed_outputs_of_each_syntax(one_of_each):
    assert_each(fuzz_syntaxes(one_of_each, 40), 40)


@pytest.mark.proof
def test_ten_thousand_fuzzed_outputs_of_each_syntax(one_of_each):
    assert_each(fuzz_syntaxes(one_of_each, 10_000), 10_000)


def test_fuzzed_outputs(formats, execute):
    fuzz(formats, execute, 500)


@pytest.mark.slow
def test_ten_thousand_fuzzed_outputs(formats, execute):
    fuzz(formats, execute, 10_000)
