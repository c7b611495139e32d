"""What `stage=check` tries for real: each tool, the teacher once, the reward."""

from pathlib import Path

import pytest
from hydra import compose

from mentor.compose import to_config
from mentor.config import Config
from mentor.errors import StageError, ToolError
from mentor.stages.smoke_checks import try_reward, try_teacher, try_tools
from tests.fixtures.openai_server import Server, completion


def config_of(*overrides: str) -> Config:
    return to_config(compose("config", overrides=["stage=check", *overrides]))


def test_a_tool_that_hangs_is_found(hydra_conf: None, tmp_path: Path) -> None:
    source = 'def endless() -> str:\n    """Hangs."""\n    while True: pass\n'
    (tmp_path / "tools.py").write_text(source)
    with pytest.raises(ToolError, match=r"tools=file: endless\(\) -> .*\(timeout\), called with arguments made"):
        try_tools(config_of("tools=file", f"tools.path={tmp_path / 'tools.py'}", "tools.timeout_s=0.3"))


def test_every_tool_is_called_once(hydra_conf: None) -> None:
    said = try_tools(config_of())
    assert said[0].startswith("tools: 12 tools of calculator") and "  add(a=1.5, b=1.5) -> '3'" in said
    assert len(said) == 13
    assert try_tools(config_of("tools=row")) == ["tools: those of each task"]


def test_the_teachers_endpoint_is_asked_once(hydra_conf: None) -> None:
    pytest.importorskip("openai")
    keys = ["teacher=openai", "teacher.model=some", "teacher.api_key_env=null"]
    asked: list[bytes] = []

    def respond(handler, body: bytes) -> None:
        asked.append(body)
        handler.reply(200, completion({"role": "assistant", "content": "ok"}))

    with Server(respond) as server:
        (said,) = try_teacher(config_of(*keys, f"teacher.base_url={server.base_url}"))
        assert len(asked) == 1
    assert said.startswith(f"teacher: {server.base_url} answers as ")
    with pytest.raises(StageError, match="gives no answer: connection"):
        try_teacher(config_of(*keys, "teacher.base_url=http://127.0.0.1:9/v1"))


def test_a_model_is_looked_for_and_an_oracle_needs_no_try(hydra_conf: None, tmp_path: Path) -> None:
    assert try_teacher(config_of("teacher=oracle")) == []
    (here,) = try_teacher(config_of("teacher=model", f"teacher.path={tmp_path}"))
    (away,) = try_teacher(config_of("teacher=model", "teacher.path=some/model"))
    assert here.endswith("is a folder here") and away.endswith("not a folder here, so a hub name")


def test_the_reward_is_tried_on_generated_tasks_before_there_is_a_teacher(hydra_conf: None, tmp_path: Path) -> None:
    lint, said = try_reward(config_of("stage.lint_tasks=1"), tmp_path, None)
    assert lint is not None and lint.findings == [] and said[-1] == "reward: flexible keeps every order on 1 tasks"
    assert try_reward(config_of("stage.lint_tasks=0"), tmp_path, None) == (None, [])
    lint, said = try_reward(config_of("stage.lint_tasks=1", "tools=row"), tmp_path, None)
    assert lint is None and said == ["reward: not tried, no teacher's trajectory with tool calls yet"]


def test_the_reward_is_tried_in_the_answer_format_and_another_one_is_told(hydra_conf: None, tmp_path: Path) -> None:
    template = r"model.question_template='{question} Answer in \\boxed{}.'"
    lint, said = try_reward(config_of("stage.lint_tasks=1", "task.answer_format=tag", template), tmp_path, None)
    assert lint is not None and lint.findings == []
    assert said[-1].startswith(
        r"model.question_template asks for the final answer in \boxed{}, but answers are read with"
    )
