"""Rendering and appending turn by turn, in formats of several templates."""

import copy
import json
import re

import pytest

from mentor.chat import ChatFormat
from mentor.chat.certificate import certify, fingerprint
from mentor.chat.ends import TurnEnd
from mentor.chat.messages import make_call
from mentor.chat.parsed import ParsedCall
from mentor.chat.syntax import HERMES, load_syntax
from mentor.chat.tiny import TEMPLATE
from mentor.errors import InputError
from mentor.types import Tokens
from tests.fixtures.call_templates import CALL_TEMPLATES
from tests.fixtures.chat_templates import ONE_BARE_CALL, OPENS_AND_LEAVES_OUT, OPENS_THINKING, THINKING, with_template
from tests.fixtures.trajectories import parallel_calls


def test_trained_text_is_the_assistant_turns_and_nothing_else(chat, calculator_tools):
    tokens = chat.render(parallel_calls(calculator_tools))
    trained = chat.decode([token for token, bit in zip(tokens.token_ids, tokens.loss_mask, strict=True) if bit])
    assert trained == (
        '<tool_call>\n{"name": "add", "arguments": {"a": 12, "b": 7}}\n</tool_call>\n'
        '<tool_call>\n{"name": "add", "arguments": {"a": 12, "b": 8}}\n</tool_call><|im_end|>'
        "The answer is \\boxed{19}.<|im_end|>"
    )


QWEN_TEMPLATES = ["qwen3_training", "qwen3_instruct_2507", "qwen2_5", "qwen2_5_training", "hermes"]


@pytest.mark.parametrize("template", QWEN_TEMPLATES)
def test_templates_that_only_append_are_spelled_exactly(shared, calculator_tools, template):
    data = shared / "data"
    chat = ChatFormat.from_pretrained(data / "tokenizer/qwen3", str(data / f"chat_templates/{template}.jinja"))
    trajectory = parallel_calls(calculator_tools, "How much is 12 plus 7, in 数字?")
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
    trajectory = parallel_calls(calculator_tools)
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
    text = chat.decode(chat.render(parallel_calls(calculator_tools)).token_ids)
    assert text.count("<|im_start|>assistant\n<think>\n\n</think>\n\n") == 2


def test_the_question_template_wraps_the_question(chat, calculator_tools):
    wrapped = ChatFormat(chat.tokenizer, "Question: {question} End with \\boxed{}.")
    prompt = wrapped.decode(wrapped.prompt_ids("How {many}?", calculator_tools))
    assert "Question: How {many}? End with \\boxed{}.<|im_end|>" in prompt


def test_a_system_prompt_stands_before_a_conversation_that_has_none(chat, calculator_tools):
    told = ChatFormat(chat.tokenizer, system_prompt="Be brief.")
    own = ({"role": "system", "content": "Be kind."},)
    plain, kept = (told.decode(told.prompt_ids("How many?", calculator_tools, earlier)) for earlier in ((), own))
    assert plain == chat.decode(
        chat.prompt_ids("How many?", calculator_tools, ({"role": "system", "content": "Be brief."},))
    )
    assert "Be kind." in kept and "Be brief." not in kept
    rendered = told.decode(told.render(parallel_calls(calculator_tools)).token_ids)
    assert rendered.count("Be brief.") == 1 and rendered.index("Be brief.") < rendered.index("<|im_start|>user")
    assert fingerprint(told) != fingerprint(chat) and not certify(told).failures


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
    rewriting.tokenizer = RewritingTokenizer(chat.tokenizer)
    with pytest.raises(InputError, match="only append"):
        rewriting.turn_text({"role": "assistant", "content": "x"})


class RewritingTokenizer:
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


def test_a_template_whose_turns_end_otherwise_than_the_tokenizer_says_is_refused(shared):
    data = shared / "data"
    chat = ChatFormat.from_pretrained(data / "tokenizer/qwen3", str(data / "chat_templates/qwen3.jinja"))
    chat.call_end = TurnEnd(
        "<|endoftext|>"
    )  # as in a base model's tokenizer, whose chat template ends turns with <|im_end|>
    with pytest.raises(InputError, match="does not end an assistant turn with <.endoftext.>"):
        chat.tool_ids((("add", "5"),))


def test_a_result_is_truncated_behind_as_many_tokens_as_it_may_have(chat):
    ids = chat.encode("12345 äöü")
    assert chat.truncate("12345 äöü", len(ids)) == "12345 äöü" == chat.truncate("12345 äöü", None)
    assert chat.truncate("12345 äöü", len(ids) - 1).endswith(f" ...[cut, {len(ids)} tokens]")
    assert chat.truncate("12345", 2) == "12 ...[cut, 5 tokens]"


def test_a_result_of_exactly_as_many_tokens_is_whole_though_it_has_more_bytes(chat):
    """Two tokens of eleven bytes: a digit, and a special token."""
    assert len(chat.encode("5<|im_end|>")) == 2
    assert chat.truncate("5<|im_end|>", 2) == "5<|im_end|>"
    assert chat.truncate("5<|im_end|>", 1) == "5 ...[cut, 2 tokens]"


# --- what a template can hold ----------------------------------------------------------------------------------------


def test_the_syntax_and_what_a_turn_holds_are_found_by_rendering(chat):
    found = {}
    for name, template in {"bare": ONE_BARE_CALL, "thinking": THINKING, "opens": OPENS_THINKING}.items():
        one = with_template(chat, template)
        found[name] = (one.syntax.name, one.parallel_calls, one.text_with_calls, one.keeps_thinking, one.opens_thinking)
        assert certify(one).failures == []
    assert found == {
        "bare": ("llama", False, False, False, False),
        "thinking": ("hermes", True, True, True, False),
        "opens": ("hermes", True, True, True, True),
    }
    assert (chat.syntax, chat.parallel_calls, chat.text_with_calls) == (HERMES, True, True)


def test_the_ids_and_the_form_of_arguments_that_a_template_asks_for_are_found(chat, calculator_tools):
    messages = parallel_calls(calculator_tools).messages
    shown = {
        name: with_template(chat, CALL_TEMPLATES[name]).turn_text(messages[1])
        for name in ("mistral", "kimi", "deepseek_v3_1")
    }
    first, second = '{"a": 12, "b": 7}', '{"a": 12, "b": 8}'
    assert shown["mistral"] == (
        f'[TOOL_CALLS][{{"name": "add", "arguments": {first}, "id": "call00000"}}, '
        f'{{"name": "add", "arguments": {second}, "id": "call00001"}}]<|im_end|>'
    )
    assert f"<|tool_call_begin|>functions.add:1<|tool_call_argument_begin|>{second}<" in shown["kimi"]
    assert f"add<｜tool▁sep｜>{first}<｜tool▁call▁end｜>" in shown["deepseek_v3_1"]


def test_plain_text_is_typed_by_the_schemas_of_the_prompt(chat, calculator_tools):
    one = with_template(chat, CALL_TEMPLATES["xml_function"])
    ids = one.encode("<tool_call>\n<function=add>\n<parameter=a>\n2\n</parameter>\n</function>\n</tool_call><|im_end|>")
    texts = calculator_tools.replace('"number"', '"string"')
    assert [one.parse(ids, tools).calls[0].arguments for tools in (calculator_tools, texts)] == [{"a": 2}, {"a": "2"}]


def test_a_call_that_plain_text_cannot_hold_is_refused(chat):
    one = with_template(chat, CALL_TEMPLATES["xml_function"])
    call = make_call("search", {"query": "a</parameter>b"})
    with pytest.raises(InputError, match=r"cannot hold a call of search \(xml_function\)"):
        one.turn_ids({"role": "assistant", "content": "", "tool_calls": [call]})


def test_the_end_of_a_turn_is_found_by_rendering(chat, calculator_tools):
    base = copy.deepcopy(chat.tokenizer)
    base.eos_token = "<|endoftext|>"  # as in a base model's tokenizer
    for one in (ChatFormat(base), ChatFormat(base, end_of_turn="<|im_end|>")):
        assert (one.eos_token, one.eos_id) == ("<|im_end|>", chat.eos_id) and certify(one).failures == []
        assert one.render(parallel_calls(calculator_tools)) == chat.render(parallel_calls(calculator_tools))
    with pytest.raises(InputError, match=r"not end an assistant turn with <.endoftext.>: set model.end_of_turn"):
        ChatFormat(base, end_of_turn="<|endoftext|>")
    with pytest.raises(InputError, match=r"model.end_of_turn='nothing' is not one token"):
        ChatFormat(base, end_of_turn="nothing")


def test_thinking_that_only_the_prompt_opens_is_closed_in_the_turn(chat):
    before, opening, after = TEMPLATE.rpartition("<|im_start|>assistant\\n")
    one = with_template(chat, f"{before}{opening}<think>\\n{after}")
    assert certify(one).failures == [] and one.opens_thinking and one.keeps_thinking
    message = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}
    assert one.turn_text(message) == "Hm.\n</think>\n\nYes.<|im_end|>"
    assert one.turn_text({**message, "reasoning_content": ""}) == "</think>\n\nYes.<|im_end|>"
    assert one.decode(list(one.tool_ids((("add", "5"),)))).endswith("<|im_start|>assistant\n<think>\n")


def test_an_empty_thought_that_the_prompt_opens_is_closed_in_the_turn(chat):
    thought = "('\\n' + message.reasoning_content + '\\n' if message.reasoning_content else '')"
    shown = f"'<think>' + {thought} + '</think>' + (message.content or '')"
    before, opening, after = TEMPLATE.replace("message.content or ''", shown).rpartition("<|im_start|>assistant\\n")
    one = with_template(chat, f"{before}{opening}<think>\\n{after}")
    assert certify(one).failures == [] and one.opens_thinking and one.keeps_thinking and one.text_with_calls
    message = {"role": "assistant", "content": "Yes."}
    assert one.turn_text(message) == "</think>Yes.<|im_end|>"
    assert one.turn_text({**message, "reasoning_content": "Hm."}) == "Hm.\n</think>Yes.<|im_end|>"


def test_open_thinking_is_closed_as_the_template_closes_it(chat):
    opens, thinks = with_template(chat, OPENS_THINKING), with_template(chat, THINKING)
    for one in (opens, thinks, with_template(chat, OPENS_AND_LEAVES_OUT), chat):
        assert one.thinking_end == "\n</think>\n\n"
    short = with_template(chat, THINKING.replace("\n</think>\n\n", "</think>"))
    assert short.thinking_end == "</think>"
    spaced = with_template(chat, THINKING.replace("</think>\n\n'", "</think>' + ('\n\n' if message.content else ' ')"))
    assert spaced.thinking_end == "\n</think>"  # what is alike before a text and before a call

    def closes(one: ChatFormat, text: str) -> bool:
        found = one.close_thinking(one.encode(text))
        assert found in ([], one.encode(one.thinking_end))
        return bool(found)

    assert closes(opens, "Hm") and closes(opens, "") and closes(opens, "<think>Hm")
    assert closes(thinks, "<think>Hm") and closes(chat, "<think>Hm")
    assert not closes(opens, "Hm</think>") and not closes(thinks, "Hm") and not closes(thinks, "<think>Hm</think>Yes")
    assert not closes(thinks, HERMES.write([make_call("add", {"text": "<think>"})]))
    spelled = opens.encode("Hm<") + opens.encode("/think>")  # ordinary tokens that spell the mark, where it is a token
    with_marks = copy.deepcopy(opens.tokenizer)
    with_marks.add_tokens(["<think>", "</think>"])
    marked = ChatFormat(with_marks)
    assert opens.close_thinking(spelled) == [] and marked.close_thinking(spelled) == marked.encode(marked.thinking_end)
    assert marked.close_thinking(marked.encode("Hm</think>")) == []
    assert closes(opens, HERMES.write([make_call("add", {"text": "</think>"})]))


NO_CALLS = CALL_TEMPLATES["lfm2"].replace("m.tool_calls or []", "[]")


def test_calls_that_a_template_leaves_out_are_written_by_the_syntax_that_is_named(chat):
    with pytest.raises(InputError, match=r"writes a call as '', .*: set model.call_syntax to one of them"):
        with_template(chat, NO_CALLS)
    one = with_template(chat, NO_CALLS, call_syntax=load_syntax("lfm2"))
    assert certify(one).failures == [] and one.parallel_calls and one.text_with_calls
    call = make_call("add", {"a": 1, "b": "<|im_end|>"})
    assert one.turn_text({"content": "Now:", "tool_calls": [call]}) == (
        'Now:\n<|tool_call_start|>[add(a=1, b="<|im_end|>")]<|tool_call_end|><|im_end|>'
    )
    assert one.turn_ids({"content": "", "tool_calls": [call]}).count(one.eos_id) == 1


def test_a_syntax_that_does_not_read_the_template_needs_the_users_word(chat):
    glm = load_syntax("glm")
    with pytest.raises(
        InputError, match=r"model.call_syntax=glm reads them: writes a call as '<tool_call>.*uncertified"
    ):
        with_template(chat, TEMPLATE, call_syntax=glm)
    one = with_template(chat, TEMPLATE, call_syntax=glm, uncertified=True)
    assert one.syntax is glm and not certify(one).passed
    assert one.parse(one.encode("<tool_call>add</tool_call><|im_end|>")).calls == (ParsedCall("add", {}),)


def test_the_template_for_tools_is_chosen_among_named_ones(chat, tmp_path):
    tokenizer = copy.deepcopy(chat.tokenizer)
    tokenizer.chat_template = {"default": CALL_TEMPLATES["glm"], "tool_use": TEMPLATE}
    tokenizer.save_pretrained(tmp_path)
    chosen = {name: ChatFormat.from_pretrained(tmp_path, template_name=name).syntax.name for name in (None, "default")}
    assert chosen == {None: "hermes", "default": "glm"}
    with pytest.raises(InputError, match=r"model.template_name=rag is not a chat template of the tokenizer: default"):
        ChatFormat.from_pretrained(tmp_path, template_name="rag")


BARE = '{"name": "add", "parameters": {"a": 1, "b": 2}}'


def test_a_one_call_template_refuses_more_than_it_holds(chat, calculator_tools):
    bare = with_template(chat, ONE_BARE_CALL)
    one, two = make_call("add", {"a": 1, "b": 2}), make_call("add", {"a": 3, "b": 4}, 1)
    assert bare.turn_text({"role": "assistant", "content": "", "tool_calls": [one]}) == f"{BARE}<|im_end|>"
    with pytest.raises(InputError, match="one call per turn, got 2: write one call per turn"):
        bare.turn_text({"role": "assistant", "content": "", "tool_calls": [one, two]})
    with pytest.raises(InputError, match="no text beside a call"):
        bare.turn_text({"role": "assistant", "content": "Now:", "tool_calls": [one]})
    with pytest.raises(InputError, match="refuses a conversation: Only one call at once!"):
        bare.template_text([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [one, two]}], "[]")


@pytest.mark.parametrize("template", [TEMPLATE, ONE_BARE_CALL, THINKING])
def test_what_a_client_leaves_empty_is_as_if_absent(chat, template):
    one = with_template(chat, template)
    answer, call = {"role": "assistant", "content": "Yes."}, {"role": "assistant", "content": ""}
    calls = {"tool_calls": [make_call("add", {"a": 1})]}
    assert one.turn_text({**answer, "tool_calls": [], "reasoning_content": None}) == one.turn_text(answer)
    assert one.turn_text({**call, **calls, "content": None}) == one.turn_text({**call, **calls})


def test_results_follow_in_the_templates_own_form(chat):
    bare = with_template(chat, ONE_BARE_CALL)
    shown = bare.decode(list(bare.tool_ids((("add", "0"),))))
    assert shown == '<|im_start|>ipython\n"0"<|im_end|><|im_start|>assistant\n'


def test_thinking_is_kept_where_the_template_keeps_it(chat):
    message = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}
    assert with_template(chat, THINKING).turn_text(message) == "<think>\nHm.\n</think>\n\nYes.<|im_end|>"
    assert with_template(chat, OPENS_THINKING).turn_text(message) == "Hm.\n</think>\n\nYes.<|im_end|>"
    assert chat.turn_text(message) == "Yes.<|im_end|>"


STRAY = "Write <think> to think and </think> to stop."


@pytest.fixture
def thinking_chat(chat):
    """A format whose marks of thinking are tokens of their own, as Qwen3's are."""
    tokenizer = copy.deepcopy(chat.tokenizer)
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template = THINKING
    return ChatFormat(tokenizer)


def test_a_mark_of_thinking_in_a_text_is_text(thinking_chat):
    one = thinking_chat
    message = {"role": "assistant", "content": STRAY, "reasoning_content": "Hm."}
    ids = one.turn_ids(message)
    marks = [one.encode(mark)[0] for mark in ("<think>", "</think>")]
    assert [ids.count(mark) for mark in marks] == [1, 1] and STRAY in one.decode(ids)
    said = one.parse(ids)
    assert (said.content, said.reasoning) == (STRAY, "Hm.")
    assert one.parse(one.encode(STRAY)).reasoning == "Write  to think and"  # as a student says it with the tokens
    call = make_call("search", {"query": "</think>", "<think>": [STRAY]})
    ids = one.turn_ids({**message, "tool_calls": [call]})
    said = one.parse(ids)
    assert (said.content, said.calls[0].arguments) == (STRAY, call["function"]["arguments"])
    assert one.marks_in_text and certify(one).failures == [] and not certify(one).skipped


def test_stripping_the_thinking_of_a_turn_keeps_the_marks_in_its_text(thinking_chat, calculator_tools):
    one = ChatFormat(thinking_chat.tokenizer, think_history="strip")
    tokens = Tokens()
    tokens.append_prompt(list(one.prompt_ids("How much?", calculator_tools)))
    turn = one.turn_ids({"role": "assistant", "content": STRAY, "reasoning_content": "Hm."})
    tokens.append_sampled(turn, [0.0] * len(turn))
    shown = one.decode(one.next_prompt(tokens, len(turn), ()))
    assert STRAY in shown and "Hm." not in shown


def test_a_thought_that_a_text_begins_with_keeps_its_marks(thinking_chat):
    ids = thinking_chat.turn_ids({"role": "assistant", "content": f"<think>\nHm.\n</think>\n{STRAY}"})
    said = thinking_chat.parse(ids)
    assert said.content == STRAY and said.reasoning.endswith("Hm.")


def test_a_text_with_marks_of_thinking_is_refused_where_they_are_no_tokens(chat):
    assert not chat.marks_in_text
    with pytest.raises(InputError, match=r"the text of a turn holds <think>, which is read as thinking"):
        chat.turn_ids({"role": "assistant", "content": STRAY})
    assert chat.turn_text({"role": "assistant", "content": "<think>Hm.</think>Yes."}).startswith("<think>Hm.</think>")


def test_a_system_prompt_shows_the_tools_of_a_template_that_does_not(chat, calculator_tools):
    template = CALL_TEMPLATES["glm"].replace("for t in tools", "for t in []")
    blind = with_template(chat, template)
    assert "add" not in blind.decode(blind.prompt_ids("How much?", calculator_tools))
    told = with_template(chat, template, system_prompt="Call these:\n{tools}")
    shown = told.decode(told.prompt_ids("How much?", calculator_tools))
    listed = "\n".join(json.dumps(tool) for tool in json.loads(calculator_tools))
    assert f"<|im_start|>system\nCall these:\n{listed}<|im_end|>" in shown
    own = told.decode(told.prompt_ids("How much?", calculator_tools, ({"role": "system", "content": "Be kind."},)))
    assert f"Call these:\n{listed}\n\nBe kind.<|im_end|>" in own
    assert certify(told).failures == [] and not certify(blind).passed


def test_ids_that_count_go_on_through_a_conversation(chat, calculator_tools):
    template = CALL_TEMPLATES["kimi"].replace("<tool_response>", "<tool_response>{{ m.tool_call_id }}")
    one = with_template(chat, template)
    call, answer = make_call("add", {"a": 1, "b": 2}), {"role": "assistant", "content": "3"}
    asks = [{"role": "assistant", "content": "", "tool_calls": calls} for calls in ([call, call], [call])]
    result = {"role": "tool", "name": "add", "content": "3"}
    messages = [{"role": "user", "content": "How much?"}, asks[0], result, result, asks[1], result, answer]
    text = one.decode(one.render_messages(messages, calculator_tools).token_ids)
    ids = re.findall(r"functions\.add:\d", text)
    assert ids == [f"functions.add:{number}" for number in (0, 1, 0, 1, 2, 2)]
    assert text.rstrip() == one.template_text(messages, calculator_tools).rstrip() and certify(one).failures == []
    earlier = one.decode(one.prompt_ids("And?", calculator_tools, tuple(messages)))
    assert re.findall(r"functions\.add:\d", earlier) == ids
