from dataclasses import replace
from functools import partial

from mentor.algorithm.batch import collate
from mentor.chat import AssistantTurn, ParsedCall
from mentor.environment import Environment, RolloutLimits, RolloutRequest, derive_seed
from mentor.environment.groups import as_groups, group_requests, shuffled_index
from mentor.policy import OptimizerSettings, TorchPolicy
from mentor.sampling import TransformersSampler
from mentor.tools import Toolbox, ToolExecutor, Toolset
from mentor.types import CallError, StopReason, Task, Trajectory
from tests.fixtures.recording_sampler import RecordingSampler

END = "<|im_end|>"
LIMITS = RolloutLimits()


def call(name="add", arguments='{"a": 2, "b": 3}'):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def make_task(i=0):
    return Task(f"t{i}", "What is 2 plus 3?", ("5",), "calculator")


def run(chat, script, limits=LIMITS, **options):
    sampler = RecordingSampler(chat, script)
    toolbox = Toolbox(Toolset.builtin("calculator"))
    with Environment(sampler, toolbox, chat, limits, **options) as environment:
        return environment.rollout([RolloutRequest(make_task(i), seed=i) for i in range(len(script))]), sampler


def one(chat, turns, limits=LIMITS):
    trajectories, _ = run(chat, {"0": turns}, limits)
    return trajectories[0]


def test_a_call_is_run_and_its_result_shown_and_only_sampled_tokens_are_trained(chat):
    turns = [call() + END, "The answer is \\boxed{5}." + END]
    trajectory = one(chat, turns)
    assert trajectory.stop_reason is StopReason.ANSWERED
    assert [message["role"] for message in trajectory.messages] == ["user", "assistant", "tool", "assistant"]
    assert trajectory.messages[2]["content"] == "5"
    assert trajectory.final_text == "The answer is \\boxed{5}."
    assert [(record.name, record.ok, record.turn) for record in trajectory.calls] == [("add", True, 0)]
    tokens = trajectory.tokens
    trained = [token for token, bit in zip(tokens.token_ids, tokens.loss_mask, strict=True) if bit]
    assert trained == chat.encode(turns[0]) + chat.encode(turns[1])
    assert all((logprob != 0.0) == bit for logprob, bit in zip(tokens.logprobs, tokens.loss_mask, strict=True))
    assert trajectory.response == (
        f"{turns[0]}\n<|im_start|>user\n<tool_response>\n5\n</tool_response>{END}\n<|im_start|>assistant\n{turns[1]}"
    )


def test_every_result_of_parallel_calls_is_shown_zero_and_errors_included(chat):
    zero, fails = call("subtract", '{"a": 3, "b": 3}'), call("divide", '{"a": 1, "b": 0}')
    text = "\n".join([zero, fails, call("launch", "{}"), call("add", '{"a": 1}')])
    trajectory = one(chat, [text + END, "Done." + END])
    shown = [message["content"] for message in trajectory.messages if message["role"] == "tool"]
    assert shown[0] == "0"
    assert "division" in shown[1] and "launch" in shown[2] and "b" in shown[3]
    assert [record.error for record in trajectory.calls] == [
        None,
        CallError.EXCEPTION,
        CallError.UNKNOWN_TOOL,
        CallError.INVALID_ARGUMENTS,
    ]
    decoded = chat.decode(trajectory.tokens.token_ids)
    assert all(text in decoded for text in shown)


def test_a_malformed_call_goes_back_as_a_structured_error(chat):
    trajectory = one(chat, ["<tool_call>{add 2 3}</tool_call>" + END, "The answer is \\boxed{5}." + END])
    assert trajectory.stop_reason is StopReason.ANSWERED
    assert trajectory.calls[0].error is CallError.MALFORMED
    assert '"error": "malformed"' in trajectory.messages[2]["content"]
    assert trajectory.messages[1]["content"] == "<tool_call>{add 2 3}</tool_call>"


def test_calls_inside_thinking_are_not_run_but_counted_over_all_turns(chat):
    turns = [f"<think>{call()} or {call()}</think>{call()}" + END, f"<think>{call()}</think>\\boxed{{5}}" + END]
    trajectory = one(chat, turns)
    assert len(trajectory.calls) == 1 and trajectory.hidden_calls == 3
    assert Trajectory.from_dict(trajectory.to_dict()).hidden_calls == 3


def test_invalid_turns_in_a_row_are_bounded_and_a_valid_one_starts_again(chat):
    bad, good = call("launch") + END, call() + END
    limits = RolloutLimits(max_invalid_turns=2)
    assert one(chat, [bad, bad], limits).stop_reason is StopReason.INVALID_CALLS
    assert one(chat, [bad, good, bad, good, "5" + END], limits).stop_reason is StopReason.ANSWERED


def test_turns_and_tokens_are_bounded(chat):
    assert one(chat, [call() + END] * 2, RolloutLimits(max_turns=2)).stop_reason is StopReason.MAX_TURNS
    cut = one(chat, [call()])  # ran out of tokens before its end-of-turn token
    assert cut.stop_reason is StopReason.LENGTH and cut.calls == [] and cut.final_text is None
    prompt = len(chat.prompt_ids("What is 2 plus 3?", Toolset.builtin("calculator").schemas_json))
    nothing_left = one(chat, [], RolloutLimits(max_tokens=prompt))
    assert nothing_left.stop_reason is StopReason.LENGTH and nothing_left.tokens.sampled == 0


def test_a_slow_tool_holds_no_other_trajectory_back(chat, tmp_path):
    tools = tmp_path / "tools.py"
    tools.write_text(
        "import asyncio\n\nasync def wait(seconds: float) -> str:\n"
        '    """Wait.\n\n    Args:\n        seconds: how long\n    """\n'
        "    total = 0\n    for i in range(int(seconds * 3_000_000)):\n        total += i\n    return 'waited'\n"
    )
    slow, fast = ([call("wait", f'{{"seconds": {seconds}}}') + END, "Done." + END] for seconds in (1, 0))
    sampler = RecordingSampler(chat, {"0": slow, **{str(i): fast for i in range(1, 6)}})
    toolbox = Toolbox(Toolset.from_python(tools), partial(ToolExecutor, timeout_s=20, workers=2))
    with Environment(sampler, toolbox, chat, LIMITS) as env:
        trajectories = env.rollout([RolloutRequest(make_task(i), seed=i) for i in range(6)])
    assert all(trajectory.stop_reason is StopReason.ANSWERED for trajectory in trajectories)
    assert sampler.finished[-1] == "0" and sampler.finished.count("0") == 2


def test_lockstep_serves_every_turn_in_request_order(chat):
    done = "The answer is \\boxed{5}." + END
    script = {"0": [call() + END, done], "1": [done], "2": [call() + END, call() + END, done]}
    _, sampler = run(chat, script, lockstep=True)
    assert [session for session, _ in sampler.order] == ["0", "1", "2", "0", "2", "2"]


def test_lockstep_with_more_trajectories_than_the_sampler_has_rows_ends(chat, student):
    def responses(max_running, lockstep):
        sampler = _EndsEveryTurn(student, chat.eos_id, max_running)
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

    def parse(self, token_ids):
        return AssistantTurn("", "", (ParsedCall("add", {"a": 2, "b": 3}),))


def test_lockstep_frees_sessions_between_turns_so_that_a_run_repeats(chat):
    done = "The answer is \\boxed{5}." + END
    script = {"0": [done], "1": [call() + END, done]}
    sampler = RecordingSampler(chat, script, delays={"1": 2})
    events = []
    ended, asked, stepped = sampler.end_session, sampler.add_request, sampler.step
    sampler.end_session = lambda session: events.append(("end", session)) or ended(session)
    sampler.add_request = lambda session, *rest: events.append(("ask", session)) or asked(session, *rest)
    sampler.step = lambda: events.append("step") or stepped()
    with Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, LIMITS, lockstep=True) as environment:
        environment.rollout([RolloutRequest(make_task(i), seed=i) for i in range(2)])
    first, second = [("ask", "0"), ("ask", "1"), "step", "step"], [("end", "0"), ("ask", "1"), "step", "step"]
    assert events == [*first, *second, ("end", "1")]


def test_tool_output_that_leaves_no_room_for_a_turn_is_not_appended(chat):
    turn = call() + END
    prompt = len(chat.prompt_ids("What is 2 plus 3?", Toolset.builtin("calculator").schemas_json))
    result = len(chat.tool_ids((("add", "5"),)))
    used = prompt + len(chat.encode(turn))
    full = one(chat, [turn], RolloutLimits(max_tokens=used + result))
    assert full.stop_reason is StopReason.LENGTH and len(full.tokens) == used
    assert full.calls[0].ok and full.messages[-1]["content"] == "5"
    room = one(chat, [turn, "5" + END], RolloutLimits(max_tokens=used + result + 1))
    assert room.stop_reason is StopReason.ANSWERED


def test_sampler_logprobs_of_real_rollouts_equal_the_policys(chat, student):
    sampler = TransformersSampler(student, chat.eos_id, max_running=16)
    toolbox = Toolbox(Toolset.builtin("calculator"))
    with Environment(sampler, toolbox, chat, RolloutLimits(max_turns=3, max_turn_tokens=24)) as environment:
        trajectories = environment.rollout([RolloutRequest(make_task(i), seed=i) for i in range(40)])
    policy = TorchPolicy(student, chat.tokenizer, OptimizerSettings("adamw", 1e-3), micro_batch_tokens=2000)
    batch = collate([trajectory.tokens for trajectory in trajectories], [0.0] * 40, chat.pad_id, "token")
    difference = (policy.logprobs(batch) - batch.sampler_logprobs).abs()
    assert float(difference[batch.loss_mask].max()) < 1e-4
    assert float(difference[~batch.loss_mask].max()) == 0.0


def test_every_epoch_draws_every_task_once_and_each_member_has_its_own_seed():
    drawn = [shuffled_index(7, place, seed=3) for place in range(21)]
    assert [sorted(drawn[i : i + 7]) for i in (0, 7, 14)] == [list(range(7))] * 3
    assert drawn[:7] != drawn[7:14]
    tasks = [make_task(i) for i in range(7)]
    requests = group_requests(tasks, step=2, prompts_per_step=3, group_size=4, seed=3, temperature=1.0)
    assert [request.task for request in requests[::4]] == [tasks[i] for i in drawn[3:6]]
    assert len({request.seed for request in requests}) == 12
    assert len({request.group_id for request in requests}) == 3
    assert derive_seed(1, 23) != derive_seed(12, 3)


def test_groups_are_consecutive(chat):
    done = "x" + END
    trajectories, _ = run(chat, {str(i): [done] for i in range(6)})
    groups = as_groups(trajectories, 3)
    assert [[t.task.id for t in group.trajectories] for group in groups] == [["t0", "t1", "t2"], ["t3", "t4", "t5"]]
