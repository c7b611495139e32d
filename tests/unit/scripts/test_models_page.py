"""The page of models from templates made by hand, and from those of TRL where they are here."""

from dataclasses import replace
from pathlib import Path

import pytest

from mentor.chat.tiny import TEMPLATE
from scripts import models_page
from scripts.models_page import Family, architecture, byte_tokenizer, describe, find_templates, page
from tests.fixtures.call_templates import CALL_TEMPLATES
from tests.fixtures.chat_templates import ONE_BARE_CALL, OPENS_THINKING, THINKING

END = "<|im_end|>"
CALLERS = Family("Callers", ("one", "two*"), "qwen3", END)
SILENT = Family("Silent", ("silent",), "gemma3_text", END)
ABSENT = Family("Absent", ("absent",), None, END, syntax="kimi")
MADE = "not tried; a template made by hand in its manner is, with `kimi`"


def rows(text: str) -> list[list[str]]:
    """The cells of the table's rows."""
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").replace("\\|", "/").split("|")] for line in lines]


def test_every_family_has_a_row_and_so_has_every_other_template_with_calls():
    templates = {
        "one": THINKING,
        "one_training": THINKING,
        "other": ONE_BARE_CALL,
        "silent": "{{ messages[0].content }}",
        "still": "{{ messages }}",
        "two_b": CALL_TEMPLATES["lfm2"],
    }
    found = page(templates, (CALLERS, SILENT, ABSENT))
    hermes = "`hermes`: several calls, text beside"
    both, full = "`transformers`, `vllm`", "full attention"
    assert rows(found) == [
        ["Callers", "`one`, `one_training`", "yes", hermes, "<code>&lt;/im_end/></code>", "kept", both, full],
        [
            "Callers",
            "`two_b`",
            "yes",
            "`lfm2`: several calls, text beside",
            "<code>&lt;/im_end/></code>",
            "left out",
            both,
            full,
        ],
        [
            "Silent",
            "`silent`",
            "no: the template shows no calls; with `model.call_syntax` they are written as text",
            *("", "", ""),
            both,
            "full attention and sliding attention",
        ],
        [
            "Absent",
            "not at hand",
            "not tried; a template made by hand in its manner is, with `kimi`",
            "`kimi`",
            *[""] * 4,
        ],
        ["", "`other`", "yes", "`llama`: one call, no text beside", "<code>&lt;/im_end/></code>", "left out", "", ""],
    ]
    assert "not tried: `still`." in found and found == page(templates, (CALLERS, SILENT, ABSENT))


def test_why_a_template_is_not_certified_fits_into_a_cell():
    broken = THINKING.replace("message.content or ''", "(message.content or '') | trim | replace('19', '20')")
    found = describe(broken, CALLERS)
    assert found.certified.startswith("no: `") and "|" not in found.certified and found.calls == ""
    unknown = describe(THINKING.replace("<tool_call>", "<|calls|>"), CALLERS)
    assert unknown.certified.startswith("no: the chat template writes a call as") and len(unknown.certified) < 260


def test_a_template_that_stands_in_is_said_with_why_the_own_is_refused():
    family = replace(CALLERS, end="<｜end▁of▁sentence｜>", begin="<｜begin▁of▁sentence｜>", mended="deepseek")
    found = describe("{{ messages[0].content }}{{ messages[1].tool_calls }}", family)
    assert found.certified.startswith("yes, as `model.chat_template=deepseek`; its own: no: ")
    assert found.calls == "`deepseek_v3`: several calls, text beside"


def test_thinking_is_said_with_and_without_it():
    switched = f"{{% if enable_thinking %}}{OPENS_THINKING}{{% else %}}{TEMPLATE}{{% endif %}}"
    said = "left out; with `model.enable_thinking=true` kept, opened by the prompt"
    assert describe(switched, CALLERS).thinking == said


@pytest.mark.parametrize(
    ("family", "samplers", "layers"),
    [
        (Family("", (), "qwen3_vl", END), "", "no causal language model in transformers"),
        (Family("", (), "qwen3_5_text", END), "`vllm`", "full attention and linear attention"),
        (Family("", (), "lfm2", END, values=models_page.CONVOLUTIONS), "`vllm`", "conv and full attention"),
        (Family("", (), "gpt_oss", END), "`transformers`, `vllm`", "full attention and sliding attention"),
    ],
)
def test_samplers_and_layers_are_what_the_code_says_of_a_configuration(family, samplers, layers):
    assert architecture(family) == (samplers, layers)


def test_the_tokenizer_of_bytes_has_the_tags_of_the_template():
    tokenizer = byte_tokenizer(
        "<|im_start|><tool_call></think>[TOOL_CALLS]<|channel>x<a|><end_of_turn>{{ a }}", CALLERS
    )
    for tag in ("<|im_start|>", "<tool_call>", "</think>", "[TOOL_CALLS]", "<|channel>", "<a|>", "<end_of_turn>", END):
        assert len(tokenizer.encode(tag, add_special_tokens=False)) == 1
    added = {token.content: token.special for token in tokenizer.added_tokens_decoder.values()}
    assert added["<|im_start|>"] and added["<end_of_turn>"] and not added["<tool_call>"] and not added["</think>"]
    assert tokenizer.decode(tokenizer.encode("Grüße\n")) == "Grüße\n"


def test_the_first_folder_of_a_template_counts(tmp_path: Path):
    for place, text in (("a", "first"), ("b", "second")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "one.jinja").write_text(text)
    (tmp_path / "b" / "two.jinja").write_text("two")
    assert find_templates([tmp_path / "a", tmp_path / "b"]) == {"one": "first", "two": "two"}


def test_an_argument_that_is_no_folder_is_named(capsys, tmp_path):
    assert models_page.main([str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.endswith("nothing is not a folder of chat templates\n")
