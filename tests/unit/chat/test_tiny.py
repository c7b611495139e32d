"""The tokenizer and template of the student made from scratch."""

import json

import pytest
from transformers import AutoTokenizer

from mentor.chat.tiny import SPECIAL, TAGS, render_text, train_tokenizer
from tests.fixtures.trajectories import parallel_calls


def test_the_tiny_format_spells_what_its_template_renders(chat, calculator_tools):
    trajectory = parallel_calls(calculator_tools)
    tokens = chat.render(trajectory)
    whole = chat.tokenizer.apply_chat_template(
        trajectory.messages,
        tools=json.loads(calculator_tools),
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    assert tokens.token_ids == whole["input_ids"][:-1]  # the template adds a line end after the last turn
    assert tokens.loss_mask == [bool(bit) for bit in whole["assistant_masks"][:-1]]


def test_a_saved_tokenizer_reads_its_own_turns_with_parse_response(chat, calculator_tools, tmp_path):
    chat.tokenizer.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    message = parallel_calls(calculator_tools).messages[1]
    parsed = tokenizer.parse_response(chat.turn_text(message), prefix="<|im_start|>assistant\n")
    assert [call["function"] for call in parsed["tool_calls"]] == [call["function"] for call in message["tool_calls"]]
    assert tokenizer.parse_response("Hello.<|im_end|>", prefix="<|im_start|>assistant\n")["content"] == "Hello."
    assert tokenizer.encode("47 and 3.25") == chat.encode("47 and 3.25")


def test_digits_are_single_tokens_and_a_call_is_short(chat):
    assert [chat.decode([token]) for token in chat.encode("1047")] == ["1", "0", "4", "7"]
    assert len(chat.encode('<tool_call>\n{"name": "add", "arguments": {"a": 5, "b": 7}}\n</tool_call>')) <= 16


def test_any_text_survives_the_tokenizer(chat):
    for text in ("naïve → 数学 🙂", "tabs\tand\r\nlines", "  two  spaces ", "<tool_call>x", '"\\u00e9"'):
        assert chat.decode(chat.encode(text)) == text


def test_vllms_hermes_parser_reads_the_tiny_students_turns(chat, calculator_tools, tmp_path):
    hermes = pytest.importorskip("vllm.tool_parsers.hermes_tool_parser", reason="vllm is not installed")
    chat.tokenizer.save_pretrained(tmp_path)
    parser = hermes.Hermes2ProToolParser(AutoTokenizer.from_pretrained(tmp_path))
    message = parallel_calls(calculator_tools).messages[1]
    read = parser.extract_tool_calls(chat.turn_text(message).removesuffix("<|im_end|>"), None)
    assert read.tools_called
    assert [(call.function.name, json.loads(call.function.arguments)) for call in read.tool_calls] == [
        (call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]
    ]


def test_a_conversation_is_rendered_with_tools_as_signatures():
    parameters = {"properties": {"a": {"type": "number"}, "b": {"type": ["number", "null"]}}, "required": ["a"]}
    tools = [{"type": "function", "function": {"name": "add", "parameters": parameters}}]
    messages = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]
    assert render_text(messages, tools) == (
        "<|im_start|>system\nTools:\nadd(a:number,b?:any)<|im_end|>\n"
        "<|im_start|>user\n1 + 1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n"
    )


def test_a_tokenizer_has_the_size_asked_for_and_every_tag_as_one_token():
    tokenizer = train_tokenizer(["<|im_start|>user\nWhat is 1 plus 2?<|im_end|>\n" * 3] * 40, 268)
    assert len(tokenizer) == 268 and tokenizer.eos_token == "<|im_end|>"
    for tag in (*SPECIAL, *TAGS):
        assert len(tokenizer.encode(tag, add_special_tokens=False)) == 1
