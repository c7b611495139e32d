import copy
import json
import time

import pytest

from mentor.chat import ChatFormat
from mentor.chat import certificate as module
from mentor.chat.certificate import CHECKS, Certificate, certify, fingerprint
from mentor.chat.golden import CONVERSATIONS, TOOLS
from mentor.chat.messages import make_call
from mentor.chat.tiny import TEMPLATE
from mentor.errors import InputError
from tests.fixtures.call_templates import CALL_TEMPLATES
from tests.fixtures.chat_templates import THINKING, with_template

CONTENT, ARGUMENTS = "message.content or ''", "call.function.arguments | tojson"
RESULT, END = "'\\n<tool_response>\\n' + message.content", "{{- '<|im_end|>' }}"


@pytest.fixture
def make_chat(chat):
    """The tiny student's format with some of its template replaced."""

    def make(*changes: tuple[str, str]) -> ChatFormat:
        template = TEMPLATE
        for old, new in changes:
            assert old in template
            template = template.replace(old, new)
        tokenizer = copy.deepcopy(chat.tokenizer)
        tokenizer.chat_template = template
        return ChatFormat(tokenizer)

    return make


def failed(certificate: Certificate) -> dict[str, set[str]]:
    """The conversations that failed, by check."""
    return {
        name: {check.conversation for check in certificate.failures if check.name == name}
        for name in CHECKS
        if any(check.name == name for check in certificate.failures)
    }


def test_the_tiny_student_is_certified_in_under_a_second(chat, monkeypatch):
    monkeypatch.setattr(module, "_DONE", {})
    began = time.process_time()
    certificate = certify(ChatFormat(chat.tokenizer))
    assert time.process_time() - began < 1
    assert certificate.failures == [] and certificate.passed
    assert (certificate.syntax, certificate.thinking) == ("hermes", "stripped")
    assert set(certificate.skipped) == {"marks of thinking in an answer", "marks of thinking beside a call"}
    assert certificate.notes == ("the prompt does not show all descriptions of tools and parameters",)
    assert len(certificate.checks) == 1 + len(CHECKS) * (len(CONVERSATIONS) - 2) and len(CONVERSATIONS) >= 27


def test_a_format_is_certified_once_in_a_process(chat):
    assert certify(ChatFormat(chat.tokenizer)) is certify(ChatFormat(chat.tokenizer))


def test_the_fingerprint_is_of_template_tags_and_thinking(chat, make_chat):
    more_tags = copy.deepcopy(chat.tokenizer)
    more_tags.add_special_tokens({"additional_special_tokens": ["<|extra|>"]})
    others = [ChatFormat(more_tags), ChatFormat(chat.tokenizer, enable_thinking=True), make_chat((CONTENT, "''"))]
    others.append(ChatFormat(chat.tokenizer, think_history="strip"))
    assert len({fingerprint(other) for other in [chat, *others]}) == 5
    assert fingerprint(make_chat()) == fingerprint(chat)


def test_a_certificate_survives_json(make_chat):
    certificate = certify(make_chat((RESULT, RESULT + " | upper")))
    row = json.loads(json.dumps(certificate.to_dict()))
    assert Certificate.from_dict(row) == certificate and row["passed"] is certificate.passed is False
    with pytest.raises(KeyError):
        Certificate.from_dict({"passed": True})
    del row["version"], row["notes"]
    assert Certificate.from_dict(row).version == 1  # of an earlier version, which did not say so


# --- broken templates ------------------------------------------------------------------------------------------------


def test_a_template_that_rewrites_an_earlier_turn_is_refused(make_chat):
    certificate = certify(make_chat((CONTENT, "(message.content if loop.last else message.content | upper) or ''")))
    assert failed(certificate) == {"prefix": {"text beside a call", "parallel calls after text"}}
    assert "rewrites an earlier message: 'et me add.\\n" in certificate.failures[0].reason


@pytest.mark.parametrize(
    ("expression", "dropped"),
    [
        ("('' if message.content in ['0', 'False', 'None'] else message.content)", "0 False None"),
        ("(message.content or 'no result')", "empty"),
        ("(message.content | replace('\n', ' '))", "JSON"),
    ],
)
def test_a_template_that_drops_tool_results_is_refused(make_chat, expression, dropped):
    certificate = certify(make_chat(("+ message.content + '\\n</tool", f"+ {expression} + '\\n</tool")))
    literal = " ".join(failed(certificate)["literal"])
    assert all(word in literal for word in dropped.split())
    assert any("does not appear literally" in check.reason for check in certificate.failures)


@pytest.mark.parametrize(
    ("filters", "conversation"),
    [
        ("| tojson | lower", "Unicode"),
        ("| tojson | replace('.0', '')", "numbers in arguments"),
        ("| tojson | replace('  ', ' ')", "nested arguments"),
        ("| dictsort | string", None),
    ],
)
def test_a_template_that_mangles_arguments_is_refused(make_chat, filters, conversation):
    change = (ARGUMENTS, f"call.function.arguments {filters}")
    if conversation is None:
        with pytest.raises(InputError, match=r"writes a call as .*which is no call syntax of hermes, llama"):
            make_chat(change)
        return
    certificate = certify(make_chat(change))
    assert conversation in failed(certificate)["round_trip"]
    assert any("came back as" in check.reason for check in certificate.failures)


def test_a_template_that_trims_results_is_certified_and_says_so(make_chat):
    certificate = certify(make_chat(("+ message.content + '\\n</tool", "+ (message.content | trim) + '\\n</tool")))
    assert certificate.passed and "white space around a tool's result is trimmed" in certificate.notes


@pytest.mark.parametrize(("shown", "missing"), [("[]", "probe_first, probe_second, "), ("tools[:1]", "probe_second, ")])
def test_a_template_that_does_not_show_all_tools_is_refused(chat, shown, missing):
    template = CALL_TEMPLATES["glm"].replace("for t in tools", f"for t in {shown}")
    certificate = certify(with_template(chat, template))
    (check,) = certificate.failures
    assert check.name == "tools" and check.reason.startswith(f"the prompt does not show the tools: {missing}")
    assert check.reason.endswith("are missing; model.system_prompt shows them where it holds {tools}")


def test_a_template_that_loops_over_tools_without_asking_is_certified(chat):
    template = CALL_TEMPLATES["glm"].replace("{%- if tools %}", "{%- if true %}")
    certificate = certify(with_template(chat, template))
    assert certificate.passed and certificate.notes == ()


@pytest.mark.parametrize("name", CALL_TEMPLATES)
def test_a_template_of_each_syntax_is_certified(chat, name):
    one = with_template(chat, CALL_TEMPLATES[name])
    certificate = certify(one)
    assert (certificate.failures, certificate.syntax, certificate.notes) == ([], name, ())
    exact = one.syntax.exact
    assert one.parallel_calls and one.any_argument_names is exact and one.quotes_in_calls
    assert one.text_with_calls is (name not in ("pythonic", "json_list"))
    assert len(certificate.checks) >= 4 * 25


def test_a_template_that_never_ends_an_answer_is_refused(make_chat):
    certificate = certify(make_chat((END, "{{- '<|im_end|>' if message.tool_calls else '' }}")))
    assert "answer at once" in failed(certificate)["round_trip"]
    assert "does not end an assistant turn with <|im_end|>" in certificate.failures[0].reason


def test_a_template_that_never_ends_a_call_is_refused_at_once(make_chat):
    with pytest.raises(InputError, match="does not end an assistant turn with <.im_end.>"):
        make_chat((END, "{{- '' if message.tool_calls else '<|im_end|>' }}"))


def test_a_template_that_ends_a_turn_twice_is_refused(make_chat):
    certificate = certify(make_chat((END, "{{- '<|im_end|><|im_end|>' }}")))
    assert "does not stand once, at the end" in " ".join(check.reason for check in certificate.failures)


def test_a_template_without_tools_is_refused(make_chat):
    with pytest.raises(InputError, match="is no call syntax of hermes, llama"):
        make_chat(("message.tool_calls or []", "[]"))


# --- templates of models ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def qwen3(shared):
    """The format of the shared tokenizer, whose own template opens the thinking."""
    return ChatFormat.from_pretrained(shared / "data/tokenizer/qwen3")


@pytest.mark.parametrize(
    ("template", "enable_thinking", "thinking"),
    [
        ("qwen2_5", False, "stripped"),
        ("qwen2_5_training", False, "stripped"),
        ("qwen3", False, "stripped"),
        ("qwen3", True, "kept"),
        ("qwen3_training", False, "stripped"),
        ("qwen3_training", True, "kept"),
        ("qwen3_instruct_2507", False, "stripped"),
        ("hermes", False, "stripped"),
    ],
)
def test_the_templates_of_qwen_and_hermes_are_certified(shared, qwen3, template, enable_thinking, thinking):
    tokenizer = copy.copy(qwen3.tokenizer)
    tokenizer.chat_template = (shared / f"data/chat_templates/{template}.jinja").read_text(encoding="utf-8")
    for think_history in ("keep", "strip"):
        chat = ChatFormat(tokenizer, enable_thinking=enable_thinking, think_history=think_history)
        certificate = certify(chat)
        assert certificate.failures == [] and (certificate.syntax, certificate.thinking) == ("hermes", thinking)
        beside = {"text beside a call", "parallel calls after text", "marks of thinking beside a call"}
        lacking = beside if template == "hermes" else set()
        assert set(certificate.skipped) == lacking


def test_a_template_that_opens_the_thinking_itself_is_certified(qwen3):
    for chat in (qwen3, ChatFormat(qwen3.tokenizer, think_history="strip")):
        certificate = certify(chat)
        assert chat.opens_thinking and certificate.failures == [] and certificate.thinking == "kept"


@pytest.mark.parametrize(
    ("template", "enable_thinking"), [("qwen3", True), ("qwen3", False), ("qwen3_instruct_2507", False), (None, True)]
)
def test_stripped_prompts_are_what_a_server_renders_from_messages_without_reasoning(
    shared, qwen3, template, enable_thinking
):
    """By the template of Qwen3 itself; None is the one that opens the thinking."""
    tokenizer = copy.copy(qwen3.tokenizer)
    if template is not None:
        tokenizer.chat_template = (shared / f"data/chat_templates/{template}.jinja").read_text(encoding="utf-8")
    chat = ChatFormat(tokenizer, enable_thinking=enable_thinking, think_history="strip")
    messages = next(talk.messages for talk in CONVERSATIONS if talk.name == "thinking in every turn")
    plain = [{key: value for key, value in message.items() if key != "reasoning_content"} for message in messages]
    for end in (3, 5):
        tokens = chat.render_messages(messages[: end + 1], TOOLS)
        turn = chat.turn_ids(messages[end])
        prompt = tokens.last_segment()[: -len(turn)]
        whole = chat._render(plain[:end], tools=json.loads(TOOLS), add_generation_prompt=True)
        assert chat.decode(prompt) == whole and prompt == chat.encode(whole)


@pytest.fixture
def llama_tokenizer(chat, tmp_path):
    """A folder with the tiny student's tokenizer and the tags that Llama's templates write."""
    tokenizer = copy.deepcopy(chat.tokenizer)
    tokenizer.add_special_tokens(
        {
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|eot_id|>",
            "additional_special_tokens": ["<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|python_tag|>"],
        }
    )
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("template", ["llama3_1", "llama3_2"])
def test_the_templates_of_llama_are_certified(shared, llama_tokenizer, calculator_tools, template):
    llama = ChatFormat.from_pretrained(llama_tokenizer, str(shared / f"data/chat_templates/{template}.jinja"))
    certificate = certify(llama)
    assert certificate.failures == [] and certificate.syntax == "llama"
    assert {"parallel calls", "text beside a call"} <= set(certificate.skipped)
    assert not {check.conversation for check in certificate.checks} & set(certificate.skipped)
    assert "Today Date: 26 Jul 2024" in llama.decode(list(llama.prompt_ids("What is 1 plus 2?", calculator_tools)))
    call = make_call("add", {"a": 1, "b": 2})
    assert llama.turn_text({"role": "assistant", "content": "", "tool_calls": [call]}) == (
        '{"name": "add", "parameters": {"a": 1, "b": 2}}<|eot_id|>'
    )
    assert llama.decode(list(llama.tool_ids((("add", "0"),)))) == (
        '<|start_header_id|>ipython<|end_header_id|>\n\n"0"<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n'
    )


def test_a_template_of_llama_that_knows_no_tools_is_refused(shared, llama_tokenizer):
    with pytest.raises(InputError, match="writes a call as ''"):
        ChatFormat.from_pretrained(llama_tokenizer, str(shared / "data/chat_templates/llama3.jinja"))


# --- thinking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["harmony", "atem"])
def test_the_thinking_of_a_turn_of_several_messages_is_stripped(chat, name):
    one = with_template(chat, CALL_TEMPLATES[name], think_history="strip")
    certificate = certify(one)
    assert (certificate.failures, certificate.thinking) == ([], "kept")


@pytest.mark.parametrize("think_history", ["keep", "strip"])
@pytest.mark.parametrize("asked", ["", "<think>\\n"])
@pytest.mark.parametrize("answered", ["", "<think>\\n"])
def test_thinking_opens_alike_after_a_question_and_after_results(chat, asked, answered, think_history):
    before, opening, after = THINKING.rpartition("<|im_start|>assistant\\n")
    opened = f"' + ('{answered}' if messages[-1].role == 'tool' else '{asked}') + '"
    one = with_template(chat, f"{before}{opening}{opened}{after}", think_history=think_history)
    assert certify(one).failures == [] and one.opens_thinking is bool(asked)
    assert one.decode(list(one.tool_ids((("add", "5"),)))).endswith(f"assistant\n{asked}".replace("\\n", "\n"))


def test_an_empty_thought_that_a_template_always_writes_is_certified_where_thinking_is_stripped(chat):
    before, opening, after = THINKING.rpartition("<|im_start|>assistant\\n")
    template = f"{before}{opening}<think>\\n\\n</think>{after}".replace("</think>\n\n'", "</think>\n'")
    one = with_template(chat, template, think_history="strip")
    assert certify(one).failures == []
