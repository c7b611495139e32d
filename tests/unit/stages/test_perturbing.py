"""Tasks with the tools that they are shown, for evaluation and for training."""

import json

import pytest

from mentor.config import BenchmarkConfig, Config, EvalStage, PerturbConfig, TaskConfig, ToolsConfig
from mentor.environment import Environment, RolloutLimits, RolloutRequest
from mentor.errors import InputError, StageError
from mentor.loggers import Logger
from mentor.loggers.console import Console
from mentor.rewards.reward_terms import BUILTIN
from mentor.stages.benchmark_tasks import benchmark_tasks
from mentor.stages.perturbing import counted, perturbed_tasks, training_tasks
from mentor.tools import Toolbox, Toolset
from mentor.types import GoldCalls, Perturbation, StopReason, Task, ToolCall, Trajectory
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.rollouts import END, call, make_task

TOOLS = ToolsConfig("calculator")


def perturbed(tasks: list[Task], left_out: list[str] | None = None, **settings) -> list[Task]:
    return perturbed_tasks(
        tasks, PerturbConfig(**settings), TOOLS, "task.perturb", [] if left_out is None else left_out
    )


def taught(name: str, *calls: ToolCall) -> Task:
    return Task(name, "q", ("1",), "calculator", reference=calls)


def test_each_task_has_a_perturbation_of_its_own_and_is_stored_with_it():
    tasks = [make_task(0), make_task(1)]
    assert perturbed(tasks) == tasks and perturbed(tasks, seed=3) == tasks
    first, second = perturbed(tasks, seed=3, rename="suffix", failure_rate=0.1)
    assert first.perturbation == Perturbation("3/t0", rename="suffix", failure_rate=0.1)
    assert second.perturbation.key == "3/t1"
    assert Task.from_dict(json.loads(json.dumps(first.to_dict()))) == first
    assert "perturbation" not in tasks[0].to_dict()


def test_a_task_without_another_path_is_left_out_and_counted(capsys):
    whole = ToolCall("abs_value", {"x": 4}, "4")  # no other tool is tried on what is not negative
    tasks, left_out = [taught("a", ToolCall("sqrt", {"x": 4}, "2")), taught("b", whole), make_task(2)], list[str]()
    [kept] = perturbed(tasks, left_out, missing=True)
    assert kept.perturbation.missing == "sqrt" and left_out == ["b", "t2"]
    assert kept.reference == (ToolCall("power", {"base": 4, "exponent": 0.5}, "2"),)
    assert counted({"one": left_out, "other": []}) == {"one": 2}
    with pytest.raises(StageError, match=r"task\.perturb\.missing=true leaves no task: none of 1 has calls"):
        perturbed(tasks[1:2], missing=True)
    config = Config(task=TaskConfig(perturb=PerturbConfig(missing=True)), tools=TOOLS)
    trajectories = [Trajectory(task, [], "[]", StopReason.ANSWERED, []) for task in tasks]
    assert training_tasks(trajectories, config, Logger(Console(False))) == ([kept], 2)
    said = "task: 2 of 3 tasks left out, whose teacher's tools the others cannot replace"
    assert capsys.readouterr().err.splitlines() == [said]


def test_calls_that_are_not_run_can_neither_fail_nor_lack_a_tool():
    judged = Task("g", "q", (), "", gold=GoldCalls("relevance"))
    assert perturbed([judged], rename="made_up")[0].perturbation.rename == "made_up"
    with pytest.raises(InputError, match=r"task\.perturb\.failure_rate=0\.5 needs calls that run, and task g"):
        perturbed([judged], failure_rate=0.5)
    with pytest.raises(InputError, match=r"task\.perturb\.missing=true needs calls that run"):
        perturbed([judged], missing=True)


def test_a_benchmark_has_the_same_questions_as_without():
    def tasks(**settings):
        task = TaskConfig("calculator", size=4, perturb=PerturbConfig(**settings))
        entry = BenchmarkConfig(task, {"test": "ood"}, teacher="oracle")
        config = Config(stage=EvalStage("eval"), tools=TOOLS, benchmark={"mine": entry})
        return benchmark_tasks("mine", entry, config)

    plain, shown = tasks(), tasks(distractors=2)
    assert [task.question for task in plain] == [task.question for task in shown]
    assert [task.reference for task in plain] == [task.reference for task in shown]
    assert [task.perturbation.distractors for task in shown] == [2] * 4


def test_a_renamed_call_counts_as_the_teachers(chat):
    [task] = perturbed([taught("t", ToolCall("add", {"a": 2, "b": 3}, "5"))], rename="made_up", distractors=1)
    toolset = Toolset.builtin("calculator").perturbed(task.perturbation)
    shown = next(new for new, own in toolset.shown.names.items() if own == "add")
    a, b = toolset.shown.parameters[shown]
    turns = [call(shown, json.dumps({a: 2, b: 3})), call(), "\\boxed{5}"]
    script = RecordingSampler(chat, {"0": [turn + END for turn in turns]})
    toolbox = Toolbox(Toolset.builtin("calculator"))
    with Environment(script, toolbox, chat, RolloutLimits(max_tokens=4096)) as environment:
        [trajectory] = environment.rollout([RolloutRequest(task, seed=0)])
    made, unknown = trajectory.calls
    assert (made.name, made.arguments, made.ok) == ("add", {"a": 2, "b": 3}, True)
    assert (unknown.name, unknown.ok) == ("add", False), "its own name is no tool's there"
    assert shown in trajectory.tools and trajectory.messages[1]["tool_calls"][0]["function"]["name"] == shown
    assert trajectory.messages[2]["content"] == "5"
    assert BUILTIN["bag_f1"].measure(trajectory) == pytest.approx(2 / 3)  # 2 * 1 / (2 attempted + 1 of the teacher)
    assert BUILTIN["results"].measure(trajectory) == pytest.approx(0.5)
    assert BUILTIN["valid"].measure(trajectory) == 0.5
