"""A run's teacher in this process is opened as its rollout loads it, with its own format, limits and sampling."""

from pathlib import Path

import pytest

from mentor.config import ChatStage, Config, ModelTeacher, SamplerConfig, ServeStage, ToolsConfig
from mentor.errors import InputError
from mentor.stages.chat_partner import answering, open_dialogue


@pytest.fixture
def teacher(student, chat, tmp_path: Path) -> ModelTeacher:
    student.save_pretrained(tmp_path / "model")
    chat.tokenizer.save_pretrained(tmp_path / "model")
    limits = SamplerConfig("transformers", max_tokens=600, max_turn_tokens=4, max_running=1)
    return ModelTeacher("model", path=str(tmp_path / "model"), question_template="Q: {question}", sampler=limits)


def test_a_teacher_in_process_answers_in_its_own_format_and_limits(teacher: ModelTeacher, tmp_path: Path):
    config = Config(ChatStage("chat", "teacher"), teacher=teacher, tools=ToolsConfig("calculator"))
    with open_dialogue(config, tmp_path) as dialogue:
        said = dialogue.ask("What is 2 plus 3?")
        assert said.tokens is not None and 0 < said.tokens.sampled <= 4 and '"add"' in said.tools
        assert dialogue.chat is not None and "Q: What is 2 plus 3?" in dialogue.chat.decode(said.tokens.token_ids)
    model, loading, sampling = answering(Config(ServeStage("serve", "teacher"), teacher=teacher), tmp_path)
    assert str(model) == teacher.path and loading.question_template == "Q: {question}" and sampling is teacher.sampler


def test_what_nothing_can_answer_is_one_line(teacher: ModelTeacher, tmp_path: Path):
    stage = ChatStage("chat", "teacher")
    with (
        pytest.raises(InputError, match="`tools=row` are those that each task brings"),
        open_dialogue(Config(stage, teacher=teacher, tools=ToolsConfig("row")), tmp_path),
    ):
        raise AssertionError
    with pytest.raises(InputError, match="`teacher.path=nowhere` is not a folder"):
        answering(Config(stage, teacher=ModelTeacher("model", path="nowhere")), tmp_path)
