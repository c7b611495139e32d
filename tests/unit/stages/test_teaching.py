"""The `teacher` group: what is refused in one line, what makes it another configuration, what is built."""

import sys

import pytest

from mentor.config import TEACHERS, dump
from mentor.errors import ConfigError, StageError
from mentor.runs import RunFolder
from mentor.runs.identity import config_hash, identity
from mentor.runs.preflight import preflight
from mentor.stages.teaching import BUILDERS, configured_teacher
from tests.fixtures.teacher_rollouts import ENDPOINT, composed


def test_what_only_bounds_the_work_does_not_make_it_another_configuration():
    def hashed(*overrides):
        return config_hash(identity(dump(composed(*ENDPOINT, *overrides))))

    same = ("teacher.base_url=http://b:2/v1", "teacher.max_cost=5", "teacher.input_price=1", "teacher.concurrency=2")
    assert (
        hashed(*same, "teacher.timeout_s=3", "teacher.api_key_env=OTHER", "teacher.max_refused_in_a_row=null")
        == hashed()
    )
    for other in ("teacher.model=b", "teacher.temperature=0", "teacher.samples=2", "teacher.instruction=null"):
        assert hashed(other) != hashed()


def test_what_is_in_the_files_a_stage_reads_makes_it_another_configuration(tmp_path):
    evaluation, model = tmp_path / "test.jsonl", tmp_path / "model"
    model.mkdir()
    seen: list[dict[str, str]] = []
    for content in ("a", "b"):
        evaluation.write_text(content)
        (model / "model.safetensors").write_text(content)
        config = composed("teacher=model", f"teacher.path={model}", f"stage.decontaminate=[{evaluation}]")
        seen.append(preflight(config, RunFolder(tmp_path, tmp_path)))
    assert seen[0].keys() == seen[1].keys() == {f"decontaminate {evaluation}", "teacher"}
    assert all(seen[0][key] != seen[1][key] for key in seen[0])


def test_no_files_to_keep_out_is_what_it_was_before_there_was_such_a_key():
    values = dump(composed("teacher=oracle"))
    assert values["teacher"] == {"name": "oracle", "alternative_share": 0.3} and "decontaminate" in values["stage"]
    assert identity(values)["stage"].keys() == {"name", "limit", "concurrency"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["teacher=openai", "teacher.model=m"], "`teacher.base_url` is not set"),
        (["teacher=openai", "teacher.base_url=http://a/v1"], "`teacher.model` is not set"),
        ([*ENDPOINT, "teacher.base_url=localhost:8000"], "is no address; accepted: http"),
        ([*ENDPOINT, "teacher.base_url=http://u:secret@h/v1"], "`teacher.base_url` holds a password"),
        ([*ENDPOINT, "teacher.max_cost=1"], "needs teacher.input_price or teacher.output_price"),
        ([*ENDPOINT, "teacher.choose=best"], "`teacher.choose=best` is not accepted"),
        (["teacher=model"], "`teacher.path` is not set"),
        (["teacher=model", "teacher.path=p", "teacher.sampler.max_turn_tokens=5000"], "teacher.sampler.max_tokens"),
        (["teacher=model", "teacher.path=p", "teacher.question_template=x"], "lacks {question}"),
        (["teacher=model", "teacher.path=p", "teacher.chat_template=no.jinja"], "no.jinja` is not a file"),
        (["stage.decontaminate=[no.jsonl]"], "`stage.decontaminate` has 'no.jsonl'"),
    ],
)
def test_a_wrong_configuration_is_one_line(overrides, message):
    with pytest.raises(ConfigError) as error:
        composed(*overrides)
    assert message in str(error.value) and "\n" not in str(error.value) and "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "kind"),
    [
        (["teacher=oracle"], "Oracle"),
        (["teacher=annotated", "task=gsm8k", "task.path=rows.jsonl"], "Annotated"),
        (ENDPOINT, "EndpointTeacher"),
        (["teacher=model", "teacher.path=p"], "InProcessTeacher"),
    ],
)
def test_each_teacher_is_built_from_its_settings_and_opens_nothing(overrides, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("{}")
    assert type(configured_teacher(composed(*overrides))).__name__ == kind
    assert BUILDERS.keys() == TEACHERS.keys(), "each schema has a builder"


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)  # as if it were not installed
    imports_it = [name for name in sys.modules if name.startswith(("mentor.endpoints.", "mentor.teachers.openai"))]
    for name in imports_it:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(StageError, match=r"teacher=openai needs the package openai: pip install 'mentor\[openai\]'"):
        configured_teacher(composed(*ENDPOINT))
