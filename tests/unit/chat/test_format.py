import json

import pytest
from transformers import AutoTokenizer

from mentor.chat import ChatFormat
from mentor.errors import InputError
from mentor.types import StopReason, Task, Trajectory


def make_trajectory(tools: str, question: str = "What is 12 plus 7?") -> Trajectory:
    calls = [
        {"id": f"call_{i}", "type": "function", "function": {"name": "add", "arguments": {"a": 12, "b": b}}}
        for i, b in enumerate((7, 8))
    ]
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_0", "name": "add", "content": "19"},
        {"role": "tool", "tool_call_id": "call_1", "name": "add", "content": "20"},
        {"role": "assistant", "content": "The answer is \\boxed{19}."},
    ]
    return Trajectory(Task("t", question, ("19",), "calculator"), messages, tools, StopReason.ANSWERED, [])


def test_the_tiny_format_spells_what_its_template_renders(chat, calculator_tools):
    trajectory = make_trajectory(calculator_tools)
    tokens = chat.render(trajectory)
    whole = chat.tokenizer.apply_chat_template(
        trajectory.messages,
        tools=json.loads(calculator_tools),
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    assert tokens.token_ids == whole["input_ids"][:-1]  # the template adds a line end after the last turn
    assert tokens.loss_mask == [bool(bit) for bit in whole["assistant_masks"][:-1]]


def test_trained_text_is_the_assistant_turns_and_nothing_else(chat, calculator_tools):
    tokens = chat.render(make_trajectory(calculator_tools))
    trained = chat.decode([token for token, bit in zip(tokens.token_ids, tokens.loss_mask, strict=True) if bit])
    assert trained == (
        '<tool_call>\n{"name": "add", "arguments": {"a": 12, "b": 7}}\n</tool_call>\n'
        '<tool_call>\n{"name": "add", "arguments": {"a": 12, "b": 8}}\n</tool_call><|im_end|>'
        "The answer is \\boxed{19}.<|im_end|>"
    )


def test_a_saved_tokenizer_reads_its_own_turns_with_parse_response(chat, calculator_tools, tmp_path):
    chat.tokenizer.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    message = make_trajectory(calculator_tools).messages[1]
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


QWEN_TEMPLATES = ["qwen3_training", "qwen3_instruct_2507", "qwen2_5", "qwen2_5_training", "hermes"]


@pytest.mark.parametrize("template", QWEN_TEMPLATES)
def test_templates_that_only_append_are_spelled_exactly(shared, calculator_tools, template):
    data = shared / "data"
    chat = ChatFormat.from_pretrained(data / "tokenizer/qwen3", str(data / f"chat_templates/{template}.jinja"))
    trajectory = make_trajectory(calculator_tools, "How much is 12 plus 7, in 数字?")
    tokens = chat.render(trajectory)
    whole = chat.tokenizer.apply_chat_template(
        trajectory.messages, tools=json.loads(calculator_tools), return_dict=True, enable_thinking=False
    )["input_ids"]
    assert chat.decode(tokens.token_ids).split() == chat.decode(whole).split()
    if template != "hermes":  # which writes a space between a turn and its end token, that no model would sample
        assert tokens.token_ids == whole[: len(tokens)]


def test_qwen3_masks_are_those_of_its_training_template(shared, calculator_tools):
    data = shared / "data"
    chat = ChatFormat.from_pretrained(
        data / "tokenizer/qwen3", str(data / "chat_templates/qwen3_training.jinja"), enable_thinking=True
    )
    trajectory = make_trajectory(calculator_tools)
    tokens = chat.render(trajectory)
    whole = chat.tokenizer.apply_chat_template(
        trajectory.messages,
        tools=json.loads(calculator_tools),
        return_dict=True,
        return_assistant_tokens_mask=True,
        enable_thinking=True,
    )
    assert tokens.token_ids == whole["input_ids"][: len(tokens)]
    masks = [bool(bit) for bit in whole["assistant_masks"][: len(tokens)]]
    line_end = chat.encode("\n")[0]  # the template marks the line end after a turn, which is never sampled
    differ = [t for t, (ours, theirs) in enumerate(zip(tokens.loss_mask, masks, strict=True)) if ours != theirs]
    assert all(tokens.token_ids[t] == line_end and tokens.token_ids[t - 1] == chat.eos_id for t in differ)
    assert len(differ) == 1


def test_qwen3_without_thinking_keeps_every_turn_as_it_was_sampled(shared, calculator_tools):
    data = shared / "data"
    chat = ChatFormat.from_pretrained(data / "tokenizer/qwen3", str(data / "chat_templates/qwen3.jinja"))
    text = chat.decode(chat.render(make_trajectory(calculator_tools)).token_ids)
    assert text.count("<|im_start|>assistant\n<think>\n\n</think>\n\n") == 2


def test_the_question_template_wraps_the_question(chat, calculator_tools):
    wrapped = ChatFormat(chat.tokenizer, "Question: {question} End with \\boxed{}.")
    prompt = wrapped.decode(wrapped.prompt_ids("How {many}?", calculator_tools))
    assert "Question: How {many}? End with \\boxed{}.<|im_end|>" in prompt


def test_a_tokenizer_without_a_template_is_refused(chat, tmp_path):
    chat.tokenizer.save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="chat_template"):
        ChatFormat.from_pretrained(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no tokenizer"):
        ChatFormat.from_pretrained(tmp_path)


def test_a_template_that_rewrites_the_open_turn_is_refused(chat):
    rewriting = ChatFormat(chat.tokenizer)
    rewriting.tokenizer = AutoTokenizerWith(chat.tokenizer)
    with pytest.raises(InputError, match="only append"):
        rewriting.turn_text({"role": "assistant", "content": "x"})


class AutoTokenizerWith:
    """The same tokenizer with a template that shouts the question once it is answered."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer

    def apply_chat_template(self, messages, **options):
        template = (
            "{% for m in messages %}<|im_start|>{{ m.role }}\n"
            "{{ m.content if add_generation_prompt else m.content | upper }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        )
        return self._tokenizer.apply_chat_template(messages, chat_template=template, **options)


def test_vllms_hermes_parser_reads_the_tiny_students_turns(chat, calculator_tools, tmp_path):
    hermes = pytest.importorskip("vllm.tool_parsers.hermes_tool_parser", reason="vllm is not installed")
    chat.tokenizer.save_pretrained(tmp_path)
    parser = hermes.Hermes2ProToolParser(AutoTokenizer.from_pretrained(tmp_path))
    message = make_trajectory(calculator_tools).messages[1]
    read = parser.extract_tool_calls(chat.turn_text(message).removesuffix("<|im_end|>"), None)
    assert read.tools_called
    assert [(call.function.name, json.loads(call.function.arguments)) for call in read.tool_calls] == [
        (call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]
    ]


def test_a_template_whose_turns_end_otherwise_than_the_tokenizer_says_is_refused(shared):
    data = shared / "data"
    chat = ChatFormat.from_pretrained(data / "tokenizer/qwen3", str(data / "chat_templates/qwen3.jinja"))
    chat.eos_token = "<|endoftext|>"  # as in a base model's tokenizer, whose chat template ends turns with <|im_end|>
    with pytest.raises(InputError, match="does not end an assistant turn with <.endoftext.>"):
        chat.tool_ids((("add", "5"),))
