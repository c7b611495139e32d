import json
from dataclasses import replace
from pathlib import Path

import pytest

from mentor.chat import ChatFormat
from mentor.chat.certificate import Check, certify
from mentor.chat.tiny import TEMPLATE
from mentor.config import ModelConfig, SupervisedTrainer
from mentor.errors import InputError
from mentor.policy.ranks import Ranks
from mentor.runs import RunFolder
from mentor.stages.chat_format import FILE, load_chat, save_certificate
from mentor.stages.training import build_policy, save_student
from tests.fixtures.students import make_small_student

MODEL = ModelConfig(name="mine")


@pytest.fixture
def folder(chat: ChatFormat, tmp_path: Path) -> Path:
    """A model folder as far as its chat format goes."""
    chat.tokenizer.save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """A template that drops results of 0."""
    path = tmp_path / "broken.jinja"
    path.write_text(
        TEMPLATE.replace(
            "+ message.content + '\\n</tool", "+ (message.content if message.content != '0' else '') + '\\n</tool"
        )
    )
    return str(path)


def test_a_certified_template_is_loaded(folder: Path) -> None:
    assert load_chat(folder, replace(MODEL, question_template="Q: {question}")).question_template == "Q: {question}"


def test_an_uncertified_template_needs_the_users_word(folder: Path, broken: str) -> None:
    model = replace(MODEL, chat_template=broken)
    with pytest.raises(InputError) as refusal:
        load_chat(folder, model)
    said = str(refusal.value)
    assert said.startswith(f"the chat template of {broken} fails ") and "\n" not in said
    assert "`literal` of 'result 0': result '0' does not appear literally" in said
    assert said.endswith("model.uncertified=true uses it anyway")
    assert load_chat(folder, replace(model, uncertified=True)).syntax.name == "hermes"


def test_a_stored_certificate_of_the_same_format_is_taken(
    folder: Path, chat: ChatFormat, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    save_certificate(folder, chat)
    load_chat(folder, MODEL)
    found = certify(chat)
    stored = replace(found, checks=(*found.checks, Check("of another day", "mask", "it was not so")))
    (folder / FILE).write_text(json.dumps(stored.to_dict()))
    with pytest.raises(InputError, match="first `mask` of 'of another day': it was not so"):
        load_chat(folder, MODEL)
    assert not caplog.messages
    load_chat(folder, replace(MODEL, think_history="strip"))  # of another format: run again
    (said,) = caplog.messages
    assert said.startswith(f"{folder}: trained in a different chat format") and said.endswith("end_of_turn differs")
    with pytest.raises(InputError, match="'result 0'"):
        load_chat(folder, replace(MODEL, chat_template=broken))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"checks": [1]}'])
def test_a_file_that_is_no_certificate_is_refused(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text)
    with pytest.raises(InputError, match=f"{FILE} is no certificate of a chat template"):
        load_chat(folder, MODEL)


def test_a_trained_student_carries_its_certificate(chat: ChatFormat, tmp_path: Path) -> None:
    policy = build_policy(make_small_student(chat), chat, MODEL, SupervisedTrainer(), 1)
    save_student(policy, chat, RunFolder(tmp_path / "sft-s0", tmp_path), Ranks())
    saved = tmp_path / "sft-s0" / "model"
    row = json.loads((saved / FILE).read_text())
    assert row["passed"] is True and row["syntax"] == "hermes"
    assert row["fingerprint"] == certify(load_chat(saved, MODEL)).fingerprint == certify(chat).fingerprint
