"""Which of the teacher's tasks stage=rl trains on, and what it refuses of them."""

from dataclasses import replace

import pytest

from mentor.config import RewardConfig
from mentor.errors import InputError
from mentor.stages.taught_tasks import check_format, fitting_prompt
from mentor.tools import Toolbox, Toolset


@pytest.fixture
def taught(conversations):
    return [trajectory for trajectory in conversations if trajectory.calls][:4]


def test_the_canary_is_a_prompt_that_fits_and_where_none_does_the_shortest_is_named(taught, chat):
    toolbox = Toolbox(Toolset.builtin("calculator"))
    lengths = [len(chat.prompt_ids(t.task.question, toolbox.schemas_json(t.task))) for t in taught]
    tasks = [replace(taught[0].task, id="long", question="What is 1 plus 2? " * 9), taught[0].task]
    assert len(fitting_prompt(tasks, toolbox, chat, lengths[0] + 1)) == lengths[0]
    with pytest.raises(
        InputError,
        match=rf"^sampler.max_tokens={lengths[0]} leaves no room .* any of 2 tasks: .* of "
        rf"task {tasks[1].id}, has {lengths[0]} tokens with its tools; accepted: more",
    ):
        fitting_prompt(tasks, toolbox, chat, lengths[0])


def test_a_released_reward_is_refused_for_another_answer_format(taught):
    tasks = [replace(trajectory.task, answer_format="hashes") for trajectory in taught]
    check_format(tasks, RewardConfig("flexible"))
    check_format([taught[0].task], RewardConfig("released_f1", "released"))
    with pytest.raises(InputError, match=r"reward=released_f1 reads .boxed.. alone, and the rollout has task.answer"):
        check_format(tasks, RewardConfig("released_f1", "released"))
