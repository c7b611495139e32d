"""A student opened with its tools answers a question."""

from pathlib import Path

from mentor.config import ModelConfig, SamplerConfig, ToolsConfig
from mentor.environment import RolloutRequest
from mentor.stages.student import student_environment
from mentor.stages.tooling import configured_toolbox
from mentor.types import Task


def test_the_environment_has_the_limits_and_tools_of_the_settings(student, chat, tmp_path: Path) -> None:
    student.save_pretrained(tmp_path / "model")
    chat.tokenizer.save_pretrained(tmp_path / "model")
    sampling = SamplerConfig("transformers", max_tokens=600, max_turn_tokens=4, max_running=1)
    toolbox = configured_toolbox(ToolsConfig("calculator"))
    with student_environment(tmp_path / "model", toolbox, ModelConfig("tiny"), sampling) as environment:
        [trajectory] = environment.rollout([RolloutRequest(Task("t", "What is 2 plus 3?", ("5",), ""), seed=0)])
    assert trajectory.tokens is not None and 0 < trajectory.tokens.sampled <= 4
    assert '"add"' in trajectory.tools
