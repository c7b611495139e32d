"""Runs of tau-bench."""

from mentor.traces.forms import detect, tau_bench

ROW = {
    "task_id": 4,
    "trial": 1,
    "reward": 1.0,
    "info": {"task": {"user_id": "u"}},
    "traj": [
        {"role": "system", "content": "# Policy of a shed"},
        {"role": "user", "content": "I want to lend a saw."},
        {
            "role": "assistant",
            "content": None,
            "function_call": None,
            "tool_calls": [
                {"id": "call_9", "type": "function", "function": {"name": "lend", "arguments": '{"tool": "saw"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_9", "name": "lend", "content": "lent"},
        {"role": "assistant", "content": "It is yours.", "tool_calls": None},
        {"role": "user", "content": "###STOP###"},
    ],
}


def test_a_run_with_its_reward_and_without_tools():
    trace = tau_bench.FORM.read(ROW)
    assert detect([ROW]) is tau_bench.FORM and trace.reward == 1.0 and trace.tools is None
    assert [message["role"] for message in trace.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert tau_bench.FORM.read({**ROW, "reward": None}).reward is None
