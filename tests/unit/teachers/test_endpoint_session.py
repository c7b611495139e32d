"""Conversations with real calls over real HTTP: every try is graded, one right try is kept."""

import asyncio
import json
from dataclasses import replace

import pytest

from mentor.jsonl import JsonlWriter, read_jsonl
from mentor.rewards.correctness import Grader
from mentor.tasks.calculator import generate
from mentor.tasks.programs import alternatives
from mentor.teachers import Rejection, build_teacher
from mentor.teachers.endpoint_session import EndpointSession
from mentor.teachers.sampled import Verifier, sample_counts
from mentor.tools import ToolExecutor, Toolset
from mentor.types import CallError, StopReason, Trajectory
from tests.fixtures.openai_server import OracleServer, Server, call_message, completion
from tests.unit.endpoints.test_endpoint import endpoint

TASKS = generate("train", 12, 3, 0)
ADD = {"a": 1, "b": 2}


def solve(folder, server, tasks, samples=1, choose="first", max_turns=8, max_calls=4, instruction=None, **changes):
    """The outcome of every task, all in flight at once, and the counts of tries."""
    with (
        endpoint(folder / "requests", server.base_url, **changes) as asked,
        JsonlWriter(folder / "samples.jsonl") as log,
        Grader() as grader,
    ):
        teacher, verifier = EndpointSession(asked, max_turns, max_calls, instruction), Verifier(grader, choose, log)

        async def all_of_them():
            async with asked, ToolExecutor(Toolset.builtin("calculator")) as executor:
                return await asyncio.gather(*(teacher.solve(task, executor, samples, verifier) for task in tasks))

        outcomes = asyncio.run(all_of_them())
        return outcomes, asked


def saying(*messages, finish_reason="stop"):
    """A server that says these messages one turn after the other, the last one for ever."""

    def respond(handler, body):
        said = sum(message["role"] == "assistant" for message in json.loads(body)["messages"])
        handler.reply(200, completion(messages[min(said, len(messages) - 1)], finish_reason))

    return Server(respond)


def final(text, **more):
    return {"role": "assistant", "content": text, **more}


def test_tasks_are_solved_with_executed_calls_as_the_oracle_does(tmp_path):
    with OracleServer(TASKS) as server:
        outcomes, _ = solve(tmp_path, server, TASKS, instruction="Use tools.")

    async def by_oracle():
        async with ToolExecutor(Toolset.builtin("calculator")) as executor:
            return [await build_teacher("oracle").solve(task, executor) for task in TASKS]

    for outcome, expected in zip(outcomes, asyncio.run(by_oracle()), strict=True):
        assert isinstance(outcome, Trajectory)
        assert outcome.messages == expected.messages, "the shape of every teacher's trajectories"
        assert outcome.task.reference == expected.task.reference and outcome.task.toolset == "calculator"
        assert outcome.tokens is None and outcome.stop_reason is StopReason.ANSWERED
    last = max(server.bodies, key=lambda body: len(body["messages"]))
    assert last["messages"][0] == {"role": "system", "content": "Use tools."}
    call = last["messages"][2]["tool_calls"][0]
    assert isinstance(json.loads(call["function"]["arguments"]), dict) and call["id"] == "x1"
    assert last["messages"][3].keys() == {"role", "tool_call_id", "content"}
    assert [tool["function"]["name"] for tool in last["tools"]] == list(Toolset.builtin("calculator").names)


def test_a_turn_goes_back_as_it_was_given_and_is_stored_as_every_teachers(tmp_path):
    given = call_message("add", ADD)
    given |= {"reasoning_content": "I add.", "reasoning_details": [{"data": "c2lnbmVk"}], "refusal": None}
    given["tool_calls"][0] |= {"id": "Qw3Er5Ty7", "index": 0, "extra_content": {"signature": "c2lnbmVk"}}
    bodies = []

    def respond(handler, body):
        bodies.append(json.loads(body)["messages"])
        message = given if len(bodies) == 1 else final(f"\\boxed{{{TASKS[0].answer[0]}}}")
        handler.reply(200, completion(message))

    with Server(respond) as server:
        ((outcome,), _) = solve(tmp_path, server, TASKS[:1])
    assert bodies[1][1:] == [given, {"role": "tool", "tool_call_id": "Qw3Er5Ty7", "content": "3"}]
    stored = {"id": "call_0", "type": "function", "function": {"name": "add", "arguments": ADD}}
    assert outcome.messages[1] == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "I add.",
        "tool_calls": [stored],
    }


def test_what_stands_before_the_question_is_sent_with_it(tmp_path):
    call = {"id": "call_0", "type": "function", "function": {"name": "add", "arguments": ADD}}
    earlier = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1 + 2?"},
        {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0", "name": "add", "content": "3"},
        {"role": "assistant", "content": "It is 3."},
    )
    task = replace(TASKS[0], earlier=earlier)
    bodies = []

    def respond(handler, body):
        bodies.append(json.loads(body)["messages"])
        asked_before = len(bodies) > 1
        message = final(f"\\boxed{{{task.answer[0]}}}") if asked_before else call_message("multiply", ADD)
        handler.reply(200, completion(message))

    with Server(respond) as server:
        ((outcome,), _) = solve(tmp_path, server, [task], instruction="Use tools.")
    written = {**call, "function": {"name": "add", "arguments": json.dumps(ADD)}}
    assert bodies[0] == [
        {"role": "system", "content": "Be brief.\n\nUse tools."},
        earlier[1],
        {"role": "assistant", "content": "", "tool_calls": [written]},
        {"role": "tool", "tool_call_id": "call_0", "content": "3"},
        earlier[4],
        {"role": "user", "content": task.question},
    ]
    assert outcome.messages[:6] == task.prompt and [call.turn for call in outcome.calls] == [2]
    assert [call.result for call in outcome.task.reference] == ["2"]


def test_calls_left_in_the_text_are_executed_and_counted(tmp_path):
    def as_text(message, body):
        if "tool_calls" not in message:
            return message
        function = message["tool_calls"][0]["function"]
        call = json.dumps({"name": function["name"], "arguments": json.loads(function["arguments"])})
        return final(f"Let me see. <tool_call>\n{call}\n</tool_call>")

    with OracleServer(TASKS, as_text) as server:
        outcomes, asked = solve(tmp_path, server, TASKS)
    calls = sum(len(outcome.executed_calls()) for outcome in outcomes)
    assert calls >= len(TASKS) and asked.spending.flags == {"call_in_text": calls}
    assert outcomes[0].messages[1]["content"] == "Let me see." and outcomes[0].messages[1]["tool_calls"]
    sent = server.bodies[-1]["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "call00000", "a result names a listed call"


@pytest.mark.parametrize(
    ("messages", "reason", "detail"),
    [
        ([final(r"It is \boxed{-77}.")], "wrong_answer", "answered -77, the answer is"),
        ([final("No idea.")], "no_answer", "no .boxed"),
        ([call_message("add", ADD)], "max_turns", "after 3 turns"),
        ([final("", reasoning="<tool_call>{}</tool_call>")], "no_answer", "boxed"),
        ([final('<tool_call>{"name": </tool_call>')], "invalid_calls", "after 1 turns"),
        ([final('[TOOL_CALLS][{"name": "add"}]')], "unparsed_calls", "`[TOOL_CALLS]` in place of tool_calls"),
        ([final("", function_call={"name": "add"})], "unparsed_calls", "--enable-auto-tool-choice --tool-call-parser"),
        ([call_message("add", ADD, times=5)], "too_many_calls", "turn 1 made 5 calls, teacher.max_calls_per_turn=4"),
    ],
)
def test_what_is_not_right_is_rejected_with_its_reason(tmp_path, messages, reason, detail):
    with saying(*messages) as server:
        ((outcome,), _) = solve(tmp_path, server, TASKS[:1], max_turns=3)
    assert isinstance(outcome, Rejection) and outcome.reason == reason
    assert detail in outcome.detail or outcome.detail.startswith("the final turn")


def test_a_turn_cut_short_ends_the_try_and_its_calls_are_not_run(tmp_path):
    with saying(call_message("add", ADD), finish_reason="length") as server:
        ((outcome,), _) = solve(tmp_path, server, TASKS[:1])
    assert outcome.reason == "length"


def test_a_call_that_fails_is_shown_to_the_teacher_who_goes_on(tmp_path):
    task = TASKS[0]
    messages = [call_message("plus", ADD), call_message("add", {"a": "x"}), final(f"\\boxed{{{task.answer[0]}}}")]
    with saying(*messages) as server:
        ((outcome,), _) = solve(tmp_path, server, [task])
    assert [call.error for call in outcome.calls] == [CallError.UNKNOWN_TOOL, CallError.INVALID_ARGUMENTS]
    assert "no tool named 'plus'" in outcome.messages[2]["content"] and outcome.task.reference == ()


def test_several_calls_of_one_turn_run_in_order(tmp_path):
    task = TASKS[0]
    both = call_message("add", ADD)
    both["tool_calls"] += call_message("multiply", ADD)["tool_calls"]
    with saying(both, final(f"\\boxed{{{task.answer[0]}}}")) as server:
        ((outcome,), _) = solve(tmp_path, server, [task])
    assert [message.get("content") for message in outcome.messages[2:4]] == ["3", "2"]
    assert [message["tool_call_id"] for message in outcome.messages[2:4]] == ["call_0", "call_1"]
    assert [call.turn for call in outcome.calls] == [0, 0]


def test_a_request_that_fails_for_good_is_a_rejection(tmp_path):
    with Server(lambda handler, body: handler.reply(400, b"too long")) as server:
        ((outcome,), _) = solve(tmp_path, server, TASKS[:1])
    assert outcome == Rejection("request_refused", "HTTP 400: too long")


def test_of_several_tries_a_right_one_is_chosen_and_all_are_written_down(tmp_path):
    """Try 0 is wrong, try 1 takes a detour, try 2 is the oracle's path; the seed tells the server which it is."""
    task = next(task for task in TASKS if alternatives(task.source["program"]))

    def by_seed(message, body):
        first = not any(entry["role"] == "assistant" for entry in body["messages"])
        if body["seed"] == 3 and "tool_calls" not in message:
            return final(r"\boxed{-5}")
        if body["seed"] == 4 and first:
            extra = call_message("add", {"a": 41, "b": 1})
            return {**message, "tool_calls": extra["tool_calls"] + message["tool_calls"]}
        return message

    class Server(OracleServer):
        def next_message(self, messages):  # the detour's result is none of the program's
            return super().next_message([entry for entry in messages if entry.get("content") != "42"])

    with Server([task], by_seed) as server:
        ((outcome,), asked) = solve(tmp_path, server, [task], samples=3, choose="fewest_calls")
        assert len(outcome.executed_calls()) == len(task.source["program"])
        seeds = {body["seed"] for body in server.bodies}
        assert seeds == {3, 4, 5}
        again = len(server.hashes)
        ((first,), asked) = solve(tmp_path, server, [task], samples=3, choose="first")
        assert len(server.hashes) == again and asked.store.replayed == again, "all answers were stored"
    assert len(first.executed_calls()) == len(task.source["program"]) + 1, "the first right one is the detour"
    records = list(read_jsonl(tmp_path / "samples.jsonl"))
    assert [(record["sample"], record["reason"], record["chosen"]) for record in records[:3]] == [
        (0, "wrong_answer", False),
        (1, None, False),
        (2, None, True),
    ]
    assert sample_counts(tmp_path / "samples.jsonl", print) == {
        "samples": 3,
        "correct": 2,
        "sample_pass_rate": 0.666667,
        "distinct_paths": 2,
        "reasons": {"wrong_answer": 1},
    }


def test_a_task_without_a_right_try_is_rejected_for_the_most_frequent_reason(tmp_path):
    def by_seed(message, body):
        return final("none" if body["seed"] == 3 else r"\boxed{-5}")

    with OracleServer(TASKS, by_seed) as server:
        ((outcome,), _) = solve(tmp_path, server, TASKS[:1], samples=3)
    assert outcome.reason == "wrong_answer" and outcome.detail.startswith("2 of 3 tries: answered -5")


def test_tasks_with_the_same_question_ask_once(tmp_path):
    with OracleServer(TASKS, delay_s=0.05) as server:
        outcomes, _ = solve(tmp_path, server, [TASKS[0]] * 4)
    assert len(server.hashes) == len(set(server.hashes)) == len(outcomes[0].executed_calls()) + 1
    assert all(isinstance(outcome, Trajectory) for outcome in outcomes)
