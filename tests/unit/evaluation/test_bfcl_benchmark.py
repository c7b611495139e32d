"""BFCL as a benchmark: rows with schemas and no code, one turn whose calls are recorded and judged, and not run."""

import json
from dataclasses import replace

import pytest

from mentor.config import BenchmarkConfig, Config, EvalStage, ModelConfig, SamplerConfig, TaskConfig, ToolsConfig
from mentor.environment import Environment, RolloutLimits, RolloutRequest
from mentor.errors import InputError
from mentor.evaluation.graders import CallsGrader
from mentor.evaluation.results import summarise
from mentor.runs.evaluations import evaluations
from mentor.stages.benchmark_items import judged, requests
from mentor.tasks import load_tasks
from mentor.tools import Toolbox, Toolset
from mentor.types import CallError, GoldCalls, StopReason
from tests.fixtures.recording_sampler import RecordingSampler

END = "<|im_end|>"
RAIN = {
    "name": "weather.rain",
    "description": "Millimetres of rain.",
    "parameters": {
        "type": "dict",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}


def write_rows(folder, category, *ids, turns=None):
    """A category's file with its answers beside it; the path of the rows."""
    turns = turns or [[{"role": "user", "content": "How much rain falls in New York in 2 days?"}]]
    path = folder / f"BFCL_v4_{category}.jsonl"
    answers = folder / "possible_answer" / path.name
    answers.parent.mkdir(exist_ok=True)
    rows = [{"id": i, "question": turns, "function": [RAIN]} for i in ids]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if category != "irrelevance":
        truth = [{"weather.rain": {"city": ["New York"], "days": [2, ""]}}]
        answers.write_text("".join(json.dumps({"id": i, "ground_truth": truth}) + "\n" for i in ids))
    return str(path)


def call(name="weather.rain", arguments='{"city": "new york", "days": 2}'):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def evaluated(chat, tasks, turns, **limits):
    """Records of items.jsonl: one for each task with the turn it gets."""
    sampler = RecordingSampler(chat, {str(i): [turn] for i, turn in enumerate(turns)})
    wanted = requests(tasks, EvalStage("eval", samples=0), SamplerConfig("transformers"), 0)
    with Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, RolloutLimits(**limits)) as environment:
        found = environment.rollout(wanted)
    items = [judged(trajectory, request, CallsGrader()) for trajectory, request in zip(found, wanted, strict=True)]
    return items, found


def test_the_calls_of_one_turn_are_judged_and_not_run(chat, tmp_path):
    turns = [
        call() + END,
        call() + call() + END,
        call("weather.snow") + END,
        call(arguments='{"city": "Boston"}') + END,
        call(arguments='{"city": 5}') + END,
        call()[:-20] + END,
        "It does not rain there." + END,
        call(),  # ran out of tokens behind the call
    ]
    ids = [f"simple_python_{i}" for i in range(len(turns))]
    tasks = load_tasks("bfcl", write_rows(tmp_path, "simple_python", *ids), splits=["test"])
    items, trajectories = evaluated(chat, tasks, turns)
    assert [item["reason"] for item in items] == [
        None,
        "simple_function_checker:wrong_count",
        "simple_function_checker:wrong_func_name",
        "value_error:string",
        "type_error:simple",
        "ast_decoder:decoder_wrong_output_format",
        "simple_function_checker:wrong_count",
        None,
    ]
    assert [item["correct"] for item in items] == [item["reason"] is None for item in items]
    stops = [item["stop_reason"] for item in items]
    assert stops == ["called"] * 6 + ["answered", "length"]
    assert [[record.error for record in trajectory.calls] for trajectory in trajectories] == [
        [CallError.NOT_RUN],
        [CallError.NOT_RUN, CallError.NOT_RUN],
        [CallError.UNKNOWN_TOOL],
        [CallError.NOT_RUN],
        [CallError.INVALID_ARGUMENTS],
        [CallError.MALFORMED],
        [],
        [CallError.NOT_RUN],
    ]
    for trajectory in trajectories:
        assert [message["role"] for message in trajectory.messages] == ["user", "assistant"]
        assert "weather.rain" in trajectory.tools and "subtract" not in trajectory.tools
        assert trajectory.isolation is None and not any(record.ok for record in trajectory.calls)
    (row,) = summarise(items, {"test": "ood"})
    assert (row["domain"], row["n"], row["accuracy"]) == ("ood", 8, 0.25)
    assert row["reasons"]["simple_function_checker:wrong_count"] == 2
    assert row["valid_call_rate"] == 5 / 8 and row["tools"]["student"] == {"weather.rain": 5}


def test_without_a_fitting_function_no_call_is_right_but_not_no_turn(chat, tmp_path):
    ids = [f"irrelevance_{i}" for i in range(3)]
    tasks = load_tasks("bfcl", write_rows(tmp_path, "irrelevance", *ids), splits=["test"])
    items, _ = evaluated(chat, tasks, ["None of them does that." + END, call() + END, "<tool_call>{rain}" + END])
    assert [item["reason"] for item in items] == [None, "irrelevance_error:decoder_success", None]
    (unread,), (trajectory,) = evaluated(chat, tasks[:1], [""], max_tokens=4)
    assert trajectory.stop_reason is StopReason.LENGTH and trajectory.turns == 0
    assert (unread["correct"], unread["reason"]) == (False, "no_turn")


def test_a_task_without_tools_of_its_own_is_shown_those_of_the_run(chat):
    task = replace(load_tasks("calculator", size=1)[0], gold=GoldCalls("relevance"))
    sampler = RecordingSampler(chat, {"0": [call("add", '{"a": 1, "b": 2}') + END]})
    with Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, RolloutLimits()) as environment:
        (trajectory,) = environment.rollout([RolloutRequest(task, seed=0)])
    assert trajectory.tools == Toolset.builtin("calculator").schemas_json
    assert [record.error for record in trajectory.calls] == [CallError.NOT_RUN]


USER = {"role": "user", "content": "?"}


@pytest.mark.parametrize(
    ("row_id", "turns", "message"),
    [
        ("multi_turn_base_1", [[USER]], "row multi_turn_base_1: not judged by its calls, accepted: simple_python"),
        ("simple_java_1", [[USER]], "row simple_java_1: not judged by its calls"),
        ("simple_python_1", [[USER], [USER]], "row simple_python_1: 2 turns, accepted: one turn"),
        ("multiple_1", [[{"role": "system", "content": "Be brief."}]], "the last message is of the system"),
    ],
)
def test_rows_that_one_turn_does_not_decide_are_refused_before_anything_is_sampled(tmp_path, row_id, turns, message):
    path = write_rows(tmp_path, "simple_python", row_id, turns=turns)
    with pytest.raises(InputError, match=message):
        load_tasks("bfcl", path, splits=["test"])


def test_missing_answers_are_named(tmp_path):
    path = write_rows(tmp_path, "multiple", "multiple_1")
    (tmp_path / "possible_answer" / "BFCL_v4_multiple.jsonl").unlink()
    with pytest.raises(InputError, match=r"benchmark.b.task.path: its answers=.*possible_answer.*: no such file"):
        load_tasks("bfcl", path, splits=["test"], where="benchmark.b.task")


def test_another_answer_file_is_another_evaluation(tmp_path):
    path = write_rows(tmp_path, "simple_python", "simple_python_1")
    student = tmp_path / "run" / "sft-s0" / "model"
    student.mkdir(parents=True)
    (student / "config.json").write_text("{}")
    entry = BenchmarkConfig(TaskConfig("bfcl", path), {"test": "ood"}, grader="bfcl")
    config = Config(EvalStage("eval"), tools=ToolsConfig("row"), model=ModelConfig("tiny"), benchmark={"b": entry})

    def upstream():
        (found,) = evaluations(config, tmp_path / "run")
        return found.config["upstream"]

    before = upstream()
    answers = tmp_path / "possible_answer" / "BFCL_v4_simple_python.jsonl"
    answers.write_text(answers.read_text().replace("New York", "Boston"))
    assert {key for key, value in upstream().items() if value != before[key]} == {"answers_file"}


def test_a_live_row_is_asked_after_its_system_text(tmp_path):
    turns = [[{"role": "system", "content": "Today is Monday."}, USER, USER]]
    (task,) = load_tasks("bfcl", write_rows(tmp_path, "live_simple", "live_simple_1-1-0", turns=turns), splits=["test"])
    assert task.earlier == ({"role": "system", "content": "Today is Monday."},)
    assert task.question == f"{USER['content']}\n\n{USER['content']}"


def test_rows_of_other_categories_can_be_left_out(tmp_path):
    path = write_rows(tmp_path, "live_simple", "live_simple_0-0-0", "simple_java_1")
    skipped: list[str] = []
    tasks = load_tasks("bfcl", path, splits=["test"], bad_rows="skip", skipped=skipped)
    assert [task.id for task in tasks] == ["live_simple_0-0-0"] and "row simple_java_1" in skipped[0]
