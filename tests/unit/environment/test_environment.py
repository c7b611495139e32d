"""Rollouts with a real sampler, with the tools that rows bring, and with those of a real MCP server."""

import json
import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from mentor.chat import AssistantTurn, ParsedCall
from mentor.environment import Environment, RolloutLimits, RolloutRequest
from mentor.sampling import TransformersSampler
from mentor.sampling.scripted_sampler import ScriptedSampler
from mentor.tasks import load_tasks
from mentor.tools import Toolbox, ToolExecutor, Toolset
from mentor.types import CallError, StopReason, Task
from tests.fixtures.policies import make_policy, policy_batch
from tests.fixtures.rollouts import make_task
from tests.unit.tasks.test_rl_rows import ENV, MENTOR, RECALL, SCHEMA, VERL


def test_lockstep_with_more_trajectories_than_the_sampler_has_slots_ends(chat, student):
    def responses(max_running, lockstep):
        sampler = _EndsEveryTurn(student, chat.end_ids, max_running)
        toolbox = Toolbox(Toolset.builtin("calculator"))
        limits = RolloutLimits(max_turns=3, max_turn_tokens=8)
        with Environment(sampler, toolbox, chat, limits, lockstep) as environment:
            environment.chat = _CallsEveryTurn(chat)
            requests = [RolloutRequest(make_task(i), seed=i) for i in range(6)]
            return [trajectory.response for trajectory in environment.rollout(requests)]

    assert responses(2, lockstep=True) == responses(16, lockstep=False)


class _EndsEveryTurn(TransformersSampler):
    """Says that every turn ended by itself."""

    def _complete(self, session):
        return replace(super()._complete(session), stopped=True)


class _CallsEveryTurn:
    """The student's format, where every sampled turn is read as a call of `add`."""

    def __init__(self, chat):
        self._chat = chat

    def __getattr__(self, name):
        return getattr(self._chat, name)

    def parse(self, token_ids, tools):
        return AssistantTurn("", "", (ParsedCall("add", {"a": 2, "b": 3}),))


def test_sampler_logprobs_of_real_rollouts_equal_the_policys(chat, student):
    sampler = TransformersSampler(student, chat.end_ids, max_running=16)
    toolbox = Toolbox(Toolset.builtin("calculator"))
    with Environment(sampler, toolbox, chat, RolloutLimits(max_turns=3, max_turn_tokens=24)) as environment:
        trajectories = environment.rollout([RolloutRequest(make_task(i), seed=i) for i in range(40)])
    policy = make_policy(student, chat, learning_rate=1e-3, micro_batch_tokens=2000)
    batch = policy_batch([trajectory.tokens for trajectory in trajectories], [0.0] * 40, chat.pad_id)
    difference = (policy.logprobs(batch) - batch.sampler_logprobs).abs()
    assert float(difference[batch.loss_mask].max()) < 1e-4
    assert float(difference[~batch.loss_mask].max()) == 0.0


# --- tools that rows bring, and those of a server ---------------------------------------------------------------

OWN_TOOLS_LIMITS = RolloutLimits(max_turns=4, max_turn_tokens=200, max_tokens=4000)


def roll_out(chat, toolbox: Toolbox, tasks: list[Task], *turns: list[str], limits: RolloutLimits = OWN_TOOLS_LIMITS):
    """Trajectories of scripted students; checks what training relies on."""
    script = {str(i): [chat.encode(turn + chat.eos_token) for turn in own] for i, own in enumerate(turns)}
    with Environment(ScriptedSampler(script, chat.end_ids), toolbox, chat, limits) as environment:
        done = environment.rollout([RolloutRequest(task, seed=0) for task in tasks])
    for trajectory, own in zip(done, turns, strict=True):
        tokens = trajectory.tokens
        sampled = [token for token, trained in zip(tokens.token_ids, tokens.loss_mask, strict=True) if trained]
        assert chat.decode(sampled) == "".join(turn + chat.eos_token for turn in own)
    return done


def tool_call(name: str, **arguments) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def test_rows_of_the_three_kinds_roll_out_with_their_own_tools(chat, tmp_path):
    other = ENV.replace("return a", "return a + 100")
    mentor = {**MENTOR, "extra_info": json.dumps({"env": other, "func_schemas": [SCHEMA], "index": 0})}
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (VERL, RECALL, mentor)))
    tasks = load_tasks("rl_rows", str(path))
    toolbox = Toolbox(Toolset.builtin("calculator"))
    verl, recall, own = roll_out(
        chat,
        toolbox,
        tasks,
        [tool_call("multiply", a=6, b=7), r"\boxed{42}"],
        [tool_call("add", a=5), r"\boxed{A}"],
        [tool_call("add", a=5), tool_call("multiply", a=1, b=2), r"\boxed{50}"],
    )
    assert [message["content"] for message in verl.messages if message["role"] == "tool"] == ["42"]
    assert recall.messages[2]["content"] == "5" and own.messages[2]["content"] == "105"
    assert own.calls[1].error is CallError.UNKNOWN_TOOL and toolbox.counts.kinds == {"unknown_tool": 1}
    assert json.loads(own.tools) == [SCHEMA] and len(json.loads(verl.tools)) == 12
    assert {trajectory.stop_reason for trajectory in (verl, recall, own)} == {StopReason.ANSWERED}


def test_a_row_whose_source_needs_all_of_python_runs_confined(chat, tmp_path):
    env = "import statistics\n\nclass Half(Exception):\n    pass\n\ndef add(a):\n    return statistics.mean([a, a])\n"
    row = {**RECALL, "extra_info": {"env": env, "func_schemas": json.dumps([SCHEMA])}}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    toolbox = Toolbox(None, partial(ToolExecutor, timeout_s=10.0, memory_mib=256))
    (done,) = roll_out(chat, toolbox, load_tasks("rl_rows", str(path)), [tool_call("add", a=4), r"\boxed{A}"])
    assert done.messages[2]["content"] == "4"


def test_a_student_uses_a_real_mcp_server(chat):
    server = shlex.join([sys.executable, str(Path(__file__).parents[2] / "fixtures" / "mcp_notes.py")])
    toolbox = Toolbox(Toolset.from_mcp(server), partial(ToolExecutor, timeout_s=20.0))
    tasks = [Task(f"t{i}", "Note a and b.", ("2",), "mcp") for i in range(2)]
    turns = [tool_call("note", text="a"), tool_call("note", text="b"), r"\boxed{2}"]
    for done in roll_out(chat, toolbox, tasks, turns, turns):
        assert [message["content"] for message in done.messages if message["role"] == "tool"] == ["1", "2"]
        assert all(record.ok for record in done.calls) and done.stop_reason is StopReason.ANSWERED


def test_a_long_result_is_cut_in_tokens_with_a_mark(chat, tmp_path):
    path = tmp_path / "tools.py"
    path.write_text('def long() -> str:\n    return "12345 äöü " * 30\n\ndef short() -> str:\n    return "12345"\n')
    toolbox = Toolbox(Toolset.from_python(path))
    limits = replace(OWN_TOOLS_LIMITS, max_result_tokens=8)
    turns = [tool_call("long"), tool_call("short"), "Done."]
    (done,) = roll_out(chat, toolbox, [Task("t", "q", ("1",), "")], turns, limits=limits)
    long, short = (message["content"] for message in done.messages if message["role"] == "tool")
    count = len(chat.encode("12345 äöü " * 30))
    assert short == "12345" and long.endswith(f" ...[cut, {count} tokens]") and long.startswith("12345")
    assert len(chat.encode(long.partition(" ...[")[0])) <= 8 and "\ufffd" not in long
    assert long in done.response
