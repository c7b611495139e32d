#!/usr/bin/env python3
"""Write docs/models.md: what each family's chat template and architecture can be used for.

Templates are files of other packages, read where they lie (`pip install trl` brings most): each is certified as the
stages do, with a tokenizer of bytes and the template's own tags. A family without a file at hand is said to be not
tried. Samplers are what the code answers for the family's configuration in transformers.

    python scripts/models_page.py                       # templates of the packages that are installed
    python scripts/models_page.py FOLDER [FOLDER ...]   # and those of these folders, which come first
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from mentor.chat import ChatFormat
from mentor.chat.certificate import certify
from mentor.chat.templates import template_file
from mentor.errors import InputError
from mentor.policy.layers import ATTENTION, layer_kinds

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
PACKAGES = {"trl": "chat_templates", "vllm": "transformers_utils/chat_templates"}
TAGS = re.compile(
    r"<\|\"\|>|<\|[A-Za-z0-9_]+\|?>|<[A-Za-z_]+\|>|<｜[^｜<>\n]+｜>|\[/?[A-Z_]+\]|</?[a-z_0-9]+(?::[a-z_]+)?>"
)
WORDS = re.compile(r"</?[a-z_0-9]+(?::[a-z_]+)?>|\[/?(?:INST|THINK)\]")  # tags that are one token and not special
REASON = 160  # characters of why a template is refused


@dataclass(frozen=True)
class Family:
    """A family of models, and where its templates are.

    files: of templates, without `.jinja`; `*` is any. kind: of the configuration in transformers, None where it has
    none. end, begin: the tokenizer's eos_token and bos_token. syntax: of a template made by hand, where no file is at
    hand. values: of the configuration, where the released models differ from its default. mended: the template that
    comes with the project and stands in for the family's.
    """

    name: str
    files: tuple[str, ...]
    kind: str | None
    end: str
    begin: str | None = None
    syntax: str = ""
    values: tuple[tuple[str, Any], ...] = ()
    mended: str = ""


CONVOLUTIONS = (("full_attn_idxs", [2]),)
STATES = (("num_hidden_layers", 2), ("layer_types", ["mamba", "attention"]))
IM_END, EOT, SENTENCE = "<|im_end|>", "<|eot_id|>", "<｜end▁of▁sentence｜>"
FAMILIES = (
    Family("Qwen2.5", ("qwen2_5",), "qwen2", IM_END),
    Family("Qwen2.5-VL", ("qwen2_5_vl",), "qwen2_5_vl", IM_END),
    Family("QwQ", ("qwq",), "qwen2", IM_END, syntax="hermes"),
    Family("Qwen3", ("qwen3",), "qwen3", IM_END),
    Family("Qwen3-Instruct-2507", ("qwen3_instruct_2507",), "qwen3", IM_END),
    Family("Qwen3-Thinking-2507", ("qwen3_thinking_2507",), "qwen3", IM_END, syntax="hermes"),
    Family("Qwen3-Coder", ("qwen3_coder",), "qwen3_moe", IM_END, syntax="xml_function"),
    Family("Qwen3-VL", ("qwen3_vl",), "qwen3_vl", IM_END),
    Family("Qwen3.5", ("qwen3_5_think", "qwen3_5_nothink"), "qwen3_5_text", IM_END),
    Family("Qwen3.6", ("qwen3_6",), "qwen3_5_text", IM_END),
    Family("Qwen3.8", ("qwen3_8",), "qwen3_5_text", IM_END),
    Family("Nemotron 3", ("nemotron_3_nano", "nemotron_3_super", "nemotron_3_ultra"), "nemotron_h", IM_END),
    Family("Nemotron 3.5 Lightning", ("nemotron_3_5_lightning",), "nemotron_h", IM_END),
    Family("Llama 3.1", ("llama3_1",), "llama", EOT, "<|begin_of_text|>"),
    Family("Llama 3.2, 3.3", ("llama3_2",), "llama", EOT, "<|begin_of_text|>"),
    Family("Llama 4", ("llama4",), "llama4_text", "<|eot|>", "<|begin_of_text|>", "pythonic"),
    Family("Gemma 3", ("gemma3",), "gemma3_text", "<end_of_turn>", "<bos>"),
    Family("Gemma 4", ("gemma4", "gemma4_v*"), "gemma4_text", "<turn|>", "<bos>"),
    Family("DiffusionGemma", ("diffusion_gemma",), "diffusion_gemma", "<turn|>", "<bos>"),
    Family("gpt-oss", ("gptoss",), "gpt_oss", "<|return|>", "<|startoftext|>"),
    Family("GLM-4.5 and later", ("glm4moe",), "glm4_moe", "<|endoftext|>"),
    Family("LFM2", ("lfm2", "lfm2_v2"), "lfm2", IM_END, "<|startoftext|>", values=CONVOLUTIONS),
    Family("LFM2.5", ("lfm2_2_5", "lfm2_2_5_v*"), "lfm2", IM_END, "<|startoftext|>", values=CONVOLUTIONS),
    Family("Mistral", ("mistral",), "mistral", "</s>", "<s>", "mistral", (("sliding_window", None),)),
    Family("Ministral 3", ("ministral*",), "ministral3", "</s>", "<s>", "mistral_args"),
    Family("Granite 4", ("granite4",), "granitemoehybrid", "<|end_of_text|>", syntax="hermes", values=STATES),
    Family("SmolLM3", ("smollm3",), "smollm3", IM_END, syntax="hermes"),
    Family("Olmo 3", ("olmo3",), "olmo3", IM_END, syntax="olmo3"),
    Family("Command R7B, A", ("command*",), "cohere2", "<|END_OF_TURN_TOKEN|>", "<BOS_TOKEN>", "command"),
    Family("Aya Expanse", ("cohere",), "cohere", "<|END_OF_TURN_TOKEN|>", "<BOS_TOKEN>"),
    Family("Tiny Aya", ("cohere2",), "cohere2", "<|END_OF_TURN_TOKEN|>", "<BOS_TOKEN>"),
    Family("xLAM-2", ("xlam2",), "llama", EOT, "<|begin_of_text|>", "json_list"),
    Family("Seed-OSS", ("seed_oss",), "seed_oss", "<seed:eos>", "<seed:bos>", "seed_oss"),
    Family("Kimi K2", ("kimi_k2",), "deepseek_v3", IM_END, syntax="kimi"),
    Family("MiniMax M2", ("minimax_m2",), "minimax_m2", "[e~[", syntax="minimax"),
    Family("DeepSeek V3", ("deepseekv3",), "deepseek_v3", SENTENCE, "<｜begin▁of▁sentence｜>", mended="deepseek"),
    Family("DeepSeek V3.1", ("deepseekv3_1",), "deepseek_v3", SENTENCE, "<｜begin▁of▁sentence｜>", "deepseek_v3_1"),
    Family("R1 distills", ("deepseek_r1_distill",), "qwen2", SENTENCE, "<｜begin▁of▁sentence｜>", mended="deepseek"),
    Family("Muse Glimmer", ("muse_glimmer",), None, "<|eot|>"),
)


def main(arguments: Sequence[str]) -> int:
    """0 when written; 2 with one line on stderr for an argument that is no folder."""
    for argument in arguments:
        if not Path(argument).is_dir():
            sys.stderr.write(f"models_page: {argument} is not a folder of chat templates\n")
            return 2
    templates = find_templates([*map(Path, arguments), *package_folders()])
    PAGE.write_text(page(templates), encoding="utf-8")
    return 0


def package_folders() -> Iterator[Path]:
    """The folders of templates of the packages that are installed."""
    for package, below in PACKAGES.items():
        spec = find_spec(package)
        if spec is not None and spec.origin and (folder := Path(spec.origin).parent / below).is_dir():
            yield folder


def find_templates(folders: Sequence[Path]) -> dict[str, str]:
    """Name -> text of each template, of the first folder that has it."""
    found: dict[str, str] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.jinja")):
            found.setdefault(path.stem, path.read_text(encoding="utf-8"))
    return dict(sorted(found.items()))


def page(templates: Mapping[str, str], families: Sequence[Family] = FAMILIES) -> str:
    """Write the page. templates: name -> text."""
    rows: list[str] = []
    used: set[str] = set()
    for family in families:
        own = [name for name in templates if any(_is_file(name, pattern) for pattern in family.files)]
        used.update(own)
        calling = [name for name in own if "tool_calls" in templates[name]]
        found: dict[Described, list[str]] = {}
        for name in calling:
            found.setdefault(describe(templates[name], family), []).append(name)
        rows += [row(family, names, described) for described, names in found.items()]
        if not calling:
            rows.append(row(family, own, not_tried(family, own)))
    rest = [name for name, text in templates.items() if name not in used and "tool_calls" in text]
    silent = [name for name, text in templates.items() if name not in used and "tool_calls" not in text]
    other = Family("", (), None, IM_END)
    rows += [row(other, [name], describe(templates[name], other)) for name in rest]
    said = f"Templates that show no calls, and are not tried: {', '.join(f'`{name}`' for name in silent)}.\n"
    return HEAD + "\n".join(rows) + "\n" + (f"\n{said}" if silent else "") + FOOT


@dataclass(frozen=True)
class Described:
    """What the page says of a template."""

    certified: str
    calls: str = ""
    end: str = ""
    thinking: str = ""


def row(family: Family, templates: Sequence[str], found: Described) -> str:
    named = ", ".join(f"`{name}`" for name in templates) or "not at hand"
    cells = (family.name, named, found.certified, found.calls, found.end, found.thinking, *architecture(family))
    return "| " + " | ".join(cells) + " |"


def not_tried(family: Family, files: Sequence[str]) -> Described:
    """files: that are at hand, and show no calls."""
    if files:
        return Described("no: the template shows no calls; with `model.call_syntax` they are written as text")
    made = f"not tried; a template made by hand in its manner is, with `{family.syntax}`" if family.syntax else ""
    return Described(made or "not tried", f"`{family.syntax}`" if family.syntax else "")


def describe(template: str, family: Family) -> Described:
    """Certify a template without thinking and with it."""
    tokenizer = byte_tokenizer(template, family)
    tried = {thinks: try_format(tokenizer, thinks) for thinks in (False, True)}
    good = {thinks: found for thinks, found in tried.items() if isinstance(found, ChatFormat)}
    if not good:
        return _stood_in(family, f"no: {plain(str(tried[False]))}")
    chat = next(iter(good.values()))
    only = "" if len(good) == 2 else f", with `model.enable_thinking={str(next(iter(good))).lower()}`"
    held = "several calls" if chat.parallel_calls else "one call"
    text = "text beside" if chat.text_with_calls else "no text beside"
    calls = f"`{chat.syntax.name}`: {held}, {text}"
    return Described(f"yes{only}", calls, ends(chat), thinking(good))


def _stood_in(family: Family, refused: str) -> Described:
    """Describe the template that stands in for a refused one of the family, if there is one."""
    if not family.mended:
        return Described(refused)
    found = describe(template_file(family.mended).read_text(encoding="utf-8"), replace(family, mended=""))
    return replace(found, certified=f"{found.certified}, as `model.chat_template={family.mended}`; its own: {refused}")


def ends(chat: ChatFormat) -> str:
    """Say what ends an answer, and a turn with calls where that is another token."""
    tokens = dict.fromkeys((chat.answer_end.token, chat.call_end.token))
    return " of an answer, ".join(f"<code>{plain(token)}</code>" for token in tokens) + " of calls" * (len(tokens) > 1)


def try_format(tokenizer: PreTrainedTokenizerFast, enable_thinking: bool) -> ChatFormat | str:
    """Return the certified format, or why there is none."""
    try:
        chat = ChatFormat(tokenizer, enable_thinking=enable_thinking)
    except InputError as error:
        return str(error)
    failures = certify(chat).failures
    return f"`{failures[0].name}` of {failures[0].conversation!r}: {failures[0].reason}" if failures else chat


def thinking(good: Mapping[bool, ChatFormat]) -> str:
    """Say what becomes of a turn's thinking. good: the certified formats by `model.enable_thinking`."""
    said = {thinks: _thinking(chat) for thinks, chat in good.items()}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return f"{said[False]}; with `model.enable_thinking=true` {said[True]}"


def _thinking(chat: ChatFormat) -> str:
    opened = ", opened by the prompt" if chat.opens_thinking else ""
    return f"{'kept' if chat.keeps_thinking else 'left out'}{opened}"


def plain(text: str) -> str:
    """Shorten a text, and write it so that it stays in a cell of the table and is no tag."""
    text = " ".join(text.split())
    text = text if len(text) <= REASON else f"{text[:REASON]} ..."
    return text.replace("<", "&lt;").replace("|", "\\|")


def byte_tokenizer(template: str, family: Family) -> PreTrainedTokenizerFast:
    """Build a tokenizer of single bytes and the tags of a template: those in words are ordinary tokens, others special.

    The family's own has the same tags, and more text in a token.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_alone = Tokenizer(models.BPE({character: place for place, character in enumerate(alphabet)}, []))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_alone)
    own = {"eos_token": family.end, **({"bos_token": family.begin} if family.begin else {})}
    tags = sorted({*TAGS.findall(template)} - {*own.values()})
    ends = ("<end_of_turn>", "<start_of_turn>", "<end_of_utterance>", "<eos>", "<bos>", "</s>", "<s>")
    words = [tag for tag in tags if WORDS.fullmatch(tag) and tag not in ends]
    tokenizer.add_tokens([AddedToken(tag, special=False) for tag in words])
    tokenizer.add_special_tokens({**own, "additional_special_tokens": [tag for tag in tags if tag not in words]})
    tokenizer.chat_template = template
    return tokenizer


def architecture(family: Family) -> tuple[str, str]:
    """Say which samplers decode a family's models, and which kinds of layers they have; empty where it is not known."""
    if family.kind is None or family.kind not in CONFIG_MAPPING:
        return "", ""
    config = AutoConfig.for_model(family.kind, **dict(family.values))
    model_class = AutoModelForCausalLM._model_mapping.get(type(config), None)
    if model_class is None:
        return "", "no causal language model in transformers"
    kinds = layer_kinds(SimpleNamespace(config=config, _is_stateful=model_class._is_stateful))
    layers = " and ".join(sorted(kind.replace("_", " ") for kind in kinds))
    samplers = "`transformers`, `vllm`" if kinds <= ATTENTION else "`vllm`"
    return samplers, layers


def _is_file(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}_training")


HEAD = """# Models

Made by `python scripts/models_page.py` from the chat templates at hand, which lie in other packages (`pip install trl`
brings most; its versions for training end in `_training`). Each is certified as the stages certify a model, with a
tokenizer of bytes and the template's tags. A family's own tokenizer was not tried: `mentor stage=check model.path=...`
does. [Chat formats](chat_formats.md) says what is checked.

- Calls: the [call syntax](chat_formats.md#call-syntaxes), and what a turn holds.
- End: the token that ends a turn.
- Samplers: `sampler=transformers` decodes attention over all tokens and over a sliding window. `sampler=vllm` runs what
  vLLM has a model of.
- Layers: those that see other tokens. `stage=sft` and `stage=rl` train all of them, with padding in place of packing
  where sequences of one row would see each other ([engines](engines.md)).

| models | template | certified | calls | end | thinking | samplers | layers |
|---|---|---|---|---|---|---|---|
"""
FOOT = """
Of a family that is not at hand, try the model's folder. Where a template is refused, `model.chat_template` names
another, `model.call_syntax` a syntax, and `model.uncertified=true` uses it anyway.
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
