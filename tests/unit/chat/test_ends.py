"""What ends a turn: found by rendering, given, and read from a model's files."""

import json

import pytest

from mentor.chat import ChatFormat
from mentor.chat.certificate import certify
from mentor.chat.ends import TurnEnd, generation_ends
from mentor.chat.messages import make_call
from mentor.errors import InputError
from mentor.types import Tokens
from tests.fixtures.chat_templates import THINKING, with_template
from tests.fixtures.end_templates import END_TEMPLATES, OPENING_ENDS, RESULTS_INSIDE, THREE_ENDS, with_ends
from tests.fixtures.trajectories import parallel_calls

CALL = {"role": "assistant", "content": "", "tool_calls": [make_call("add", {"a": 12, "b": 7})]}
RESULT = {"role": "tool", "name": "add", "content": "19"}
ANSWER = {"role": "assistant", "content": "It is 19."}
ASKED = [{"role": "user", "content": "What is 12 plus 7?"}, CALL, RESULT, ANSWER]
WRITTEN = '<tool_call>\n{"name": "add", "arguments": {"a": 12, "b": 7}}\n</tool_call>'


def pieces(chat: ChatFormat, tokens: Tokens) -> list[tuple[bool, str]]:
    """The decoded runs of tokens that are trained, or not."""
    runs: list[tuple[bool, list[int]]] = []
    for token, trained in zip(tokens.token_ids, tokens.loss_mask, strict=True):
        if not runs or runs[-1][0] != trained:
            runs.append((trained, []))
        runs[-1][1].append(token)
    return [(trained, chat.decode(ids)) for trained, ids in runs]


@pytest.mark.parametrize("ends", END_TEMPLATES)
def test_both_ends_are_found_by_rendering_and_certified(chat, ends, calculator_tools):
    one = with_ends(chat, END_TEMPLATES[ends])
    assert [one.answer_end.token, one.call_end.token] == ends.split()
    assert one.decode(list(one.end_ids)) == ends.replace(" ", "")
    certificate = certify(one)
    assert certificate.failures == [] and list(certificate.ends) == ends.split()
    assert one.parallel_calls and one.text_with_calls is (END_TEMPLATES[ends] is not RESULTS_INSIDE)


@pytest.mark.parametrize(
    ("template", "between", "last"),
    [
        (OPENING_ENDS, "<|observation|>~\n<tool_response>\n19\n</tool_response><|assistant|>\n", "<|user|>"),
        (RESULTS_INSIDE, "<|result>~19<result|>", "<turn|>"),
        (THREE_ENDS, "<|call|>~<|start|>tool<|message|>19<|end|><|start|>assistant<|message|>", "<|return|>"),
    ],
)
def test_the_end_of_each_kind_of_turn_is_trained_once(chat, calculator_tools, template, between, last):
    one = with_ends(chat, template)
    (_, prompt), *rest = pieces(one, one.render_messages(ASKED, calculator_tools))
    end, glue = between.split("~")
    assert rest == [(True, f"{WRITTEN}{end}"), (False, glue), (True, f"It is 19.{last}")]
    trajectory = parallel_calls(calculator_tools)
    rendered = one.render(trajectory)
    whole = one.template_text(trajectory.messages, calculator_tools)
    assert one.decode(rendered.token_ids).removesuffix("<|user|>") == whole.removesuffix("\n")


def test_a_further_question_follows_the_end_that_earlier_answers_have(chat, calculator_tools):
    further = [*ASKED, {"role": "user", "content": "And again?"}, ANSWER]
    three = with_ends(chat, THREE_ENDS)
    first, second = three.render_messages(further, calculator_tools).segments()
    assert three.decode(first.token_ids).endswith("It is 19.<|return|>")
    assert "It is 19.<|end|><|start|>user<|message|>And again?<|end|>" in three.decode(second.token_ids)
    opening = with_ends(chat, OPENING_ENDS)
    (only,) = opening.render_messages(further, calculator_tools).segments()
    assert pieces(opening, only)[-3:] == [
        (True, "It is 19.<|user|>"),
        (False, "\nAnd again?<|assistant|>\n"),
        (True, "It is 19.<|user|>"),
    ]


@pytest.mark.parametrize("ends", END_TEMPLATES)
def test_ends_that_are_given_are_those_of_an_answer_and_of_calls(chat, ends, calculator_tools):
    found = with_ends(chat, END_TEMPLATES[ends])
    for given in (ends, ends.split()[0]):
        one = with_ends(chat, END_TEMPLATES[ends], end_of_turn=given)
        assert (one.answer_end, one.call_end) == (found.answer_end, found.call_end)
        assert one.render_messages(ASKED, calculator_tools) == found.render_messages(ASKED, calculator_tools)


def test_an_end_that_is_given_has_to_be_the_templates(chat):
    with pytest.raises(InputError, match=r"not end an assistant turn with <.result>: set model.end_of_turn"):
        with_ends(chat, OPENING_ENDS, end_of_turn="<|user|> <|result>")
    with pytest.raises(InputError, match=r"model.end_of_turn='' has 0 tokens, accepted: the one that ends an answer"):
        with_ends(chat, THREE_ENDS, end_of_turn="")
    with pytest.raises(InputError, match=r"has 3 tokens, accepted: the one that ends an answer, or that one, a space"):
        with_ends(chat, THREE_ENDS, end_of_turn="<|return|> <|call|> <|end|>")


# --- ends that are not the template's --------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["<|im_end|> <|im_end|>", *END_TEMPLATES])
def test_an_end_of_another_kind_is_kept_and_the_templates_is_completed(chat, ends):
    end = chat.encode("<|endoftext|>")
    one = (
        with_ends(chat, END_TEMPLATES[ends], more_ends=end)
        if ends in END_TEMPLATES
        else ChatFormat(chat.tokenizer, more_ends=end)
    )
    answer, call = ends.split()
    assert one.decode(list(one.end_ids)) == "".join(dict.fromkeys([answer, call, "<|endoftext|>"]))
    results = (("add", "19"),)
    for last in one.end_ids:
        sampled = [*one.encode(WRITTEN), last]
        assert one.parse(sampled).calls == one.parse(sampled[:-1]).calls and one.without_end(sampled) == sampled[:-1]
        tokens = Tokens()
        tokens.append_prompt(one.prompt_ids("What is 12 plus 7?", "[]"))
        tokens.append_sampled(sampled, [-1.0] * len(sampled))
        before = len(tokens)
        tokens.append_prompt(one.next_prompt(tokens, len(sampled), results))
        assert len(tokens.starts) == 1 and not any(tokens.loss_mask[before:])
        own = [] if last == one.call_end_id else [one.call_end_id]
        assert tokens.token_ids[before:] == [*own, *one.tool_ids(results)] == one.after_turn(last, results)


def test_the_end_that_was_sampled_stays_where_thinking_is_taken_out(chat):
    end = chat.encode("<|endoftext|>")
    one = with_template(chat, THINKING, think_history="strip", more_ends=end)
    for thought, shown in (("<think>\nHm.\n</think>\n\n", ""), ("<think>\nHm.</think>", "")):
        tokens = Tokens()
        tokens.append_prompt(one.prompt_ids("What is 12 plus 7?", "[]"))
        sampled = [*one.encode(f"{thought}{WRITTEN}"), *end]
        tokens.append_sampled(sampled, [-1.0] * len(sampled))
        text = one.decode(one.next_prompt(tokens, len(sampled), (("add", "19"),)))
        assert f"assistant\n{shown}{WRITTEN}<|endoftext|><|im_end|>\n<|im_start|>user" in text


def test_an_end_that_stands_inside_turns_is_not_certified(chat):
    certificate = certify(ChatFormat(chat.tokenizer, more_ends=chat.encode("<tool_call>")))
    assert {check.name for check in certificate.failures} == {"mask"}
    assert "does not stand once, at the end, as the only token that ends a turn" in certificate.failures[0].reason


# --- a model's files -------------------------------------------------------------------------------------------------


def test_the_ends_of_a_model_are_read_from_its_files(chat, tmp_path):
    chat.tokenizer.save_pretrained(tmp_path)
    endoftext, im_end = chat.encode("<|endoftext|><|im_end|>")
    generation, config = tmp_path / "generation_config.json", tmp_path / "config.json"

    def ends(written: dict) -> tuple[list[int], tuple[int, ...]]:
        generation.write_text(json.dumps(written))
        return generation_ends(tmp_path), ChatFormat.from_pretrained(tmp_path).end_ids

    assert (generation_ends(tmp_path), ChatFormat.from_pretrained(tmp_path).end_ids) == ([], (im_end,))
    config.write_text(json.dumps({"model_type": "gemma3", "text_config": {"eos_token_id": endoftext}}))
    assert generation_ends(tmp_path) == [endoftext]
    assert ends({}) == ([], (im_end,))
    assert ends({"eos_token_id": endoftext}) == ([endoftext], (im_end, endoftext))
    far = 10**6  # of the model's vocabulary, for which the tokenizer has no token
    assert ends({"eos_token_id": [endoftext, far, im_end]}) == ([endoftext, far, im_end], (im_end, endoftext))
    with pytest.raises(InputError, match="eos_token_id='</s>' is neither a token id nor a list of them"):
        ends({"eos_token_id": "</s>"})
    generation.write_text("{")
    with pytest.raises(InputError, match=r"^model.path=.*: generation_config.json cannot be read: .*JSON"):
        generation_ends(tmp_path)


def test_an_end_says_whether_it_opens_what_follows(chat):
    assert with_ends(chat, OPENING_ENDS).call_end == TurnEnd("<|observation|>", opens_next=True)
    assert with_ends(chat, RESULTS_INSIDE).call_end == TurnEnd("<|result>")
