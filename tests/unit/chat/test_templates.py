"""Templates by name: what `deepseek` renders, its certificate, and which names there are."""

import json

import pytest

from mentor.chat import ChatFormat
from mentor.chat.certificate import certify
from mentor.chat.messages import make_call
from mentor.chat.templates import named_template, template_file
from mentor.errors import InputError
from scripts.models_page import Family, byte_tokenizer

DEEPSEEK = Family("DeepSeek", (), None, "<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>")
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def deepseek():
    return byte_tokenizer(template_file("deepseek").read_text(encoding="utf-8"), DEEPSEEK)


def call(number: int) -> str:
    return f'<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{{"a": {number}}}\n```<｜tool▁call▁end｜>'


@pytest.mark.parametrize("enable_thinking", [False, True])
@pytest.mark.parametrize("think_history", ["keep", "strip"])
def test_deepseek_is_certified_for_every_conversation(enable_thinking, think_history):
    chat = ChatFormat(deepseek(), enable_thinking=enable_thinking, think_history=think_history)
    certificate = certify(chat)
    assert certificate.passed and not certificate.skipped and certificate.syntax == "deepseek_v3"
    assert chat.parallel_calls and chat.text_with_calls and chat.opens_thinking is enable_thinking


def test_deepseek_writes_a_second_round_of_calls_as_the_first():
    two = [make_call("add", {"a": 1}), make_call("add", {"a": 2}, 1)]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Add."},
        {"role": "assistant", "content": "", "reasoning_content": "Both.", "tool_calls": two},
        {"role": "tool", "content": "1", "name": "add"},
        {"role": "tool", "content": "2", "name": "add"},
        {"role": "assistant", "content": "Once more.", "tool_calls": [make_call("add", {"a": 3})]},
        {"role": "tool", "content": "3", "name": "add"},
    ]
    tokenizer = deepseek()
    shown = tokenizer.apply_chat_template(
        messages, tools=[ADD], tokenize=False, add_generation_prompt=True, enable_thinking=True
    )
    prompt, rounds = shown.split("<｜User｜>")
    assert prompt.startswith("<｜begin▁of▁sentence｜>Be brief.\n\n") and json.dumps(ADD) in prompt
    assert rounds == (
        "Add."
        "<｜Assistant｜><think>\nBoth.\n</think>\n\n"
        f"<｜tool▁calls▁begin｜>{call(1)}\n{call(2)}<｜tool▁calls▁end｜><｜end▁of▁sentence｜>"
        "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>1<｜tool▁output▁end｜>"
        "<｜tool▁output▁begin｜>2<｜tool▁output▁end｜><｜tool▁outputs▁end｜>"
        f"<｜Assistant｜>Once more.<｜tool▁calls▁begin｜>{call(3)}<｜tool▁calls▁end｜><｜end▁of▁sentence｜>"
        "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>3<｜tool▁output▁end｜><｜tool▁outputs▁end｜>"
        "<｜Assistant｜><think>\n"
    )
    further = [*messages, {"role": "assistant", "content": "6"}, {"role": "user", "content": "And?"}]
    assert "Both." not in tokenizer.apply_chat_template(further, tokenize=False)


def test_a_template_is_a_file_or_one_of_the_names(tmp_path):
    own = tmp_path / "own.jinja"
    own.write_text("{{ messages }}", encoding="utf-8")
    assert template_file(str(own)) == own
    with pytest.raises(InputError, match="`teacher.chat_template=deepsick` is not a file, nor one of deepseek, tiny"):
        template_file("deepsick", "teacher.chat_template")


def test_a_named_template_is_the_one_for_tools_unless_it_is_chosen():
    named = {"default": "a", "tool_use": "b"}
    assert [named_template(named, name) for name in (None, "default")] == ["b", "a"]
    with pytest.raises(InputError, match="model.template_name=rag is not a chat template of the tokenizer: default"):
        named_template(named, "rag")


def test_the_refusal_of_a_template_names_the_one_that_stands_in_for_it():
    tokenizer = deepseek()
    tokenizer.chat_template = tokenizer.chat_template.replace("call▁begin｜>function", "call▁begin｜>tool ")
    with pytest.raises(InputError, match="set model.call_syntax .*; model.chat_template=deepseek stands in for it$"):
        ChatFormat(tokenizer)
