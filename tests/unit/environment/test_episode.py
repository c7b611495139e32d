"""The multi-turn loop of one trajectory: what is run, shown, trained on, and what ends it."""

from mentor.chat import AssistantTurn, ParsedCall
from mentor.environment import RolloutLimits
from mentor.environment.episode import call_error, turn_message
from mentor.tools import Toolset
from mentor.types import CallError, StopReason, Trajectory
from tests.fixtures.foreign_ends import OTHER, SAID, foreign_chat, foreign_lesson
from tests.fixtures.rollouts import END, call, one


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


def test_a_turn_that_ends_otherwise_than_its_template_is_completed_with_what_is_not_trained(chat):
    other = foreign_chat(chat)
    trajectory, lesson = one(other, SAID), foreign_lesson(other)
    assert (trajectory.stop_reason, trajectory.final_text) == (StopReason.ANSWERED, "The answer is \\boxed{5}.")
    assert (trajectory.tokens.token_ids, trajectory.tokens.loss_mask) == (lesson.token_ids, lesson.loss_mask)
    assert trajectory.response == (
        f"{SAID[0]}{END}\n<|im_start|>user\n<tool_response>\n5\n</tool_response>{END}\n<|im_start|>assistant\n{SAID[1]}"
    )
    malformed = one(other, [call(arguments="{") + OTHER, SAID[1]])
    assert malformed.messages[1]["content"] == call(arguments="{"), "the end is no part of the text"


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


def test_the_first_error_of_form_of_a_call_that_is_not_run():
    schemas = {"add": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}
    found = [
        call_error(attempted, schemas)
        for attempted in (
            ParsedCall("add", {"a": 1}),
            ParsedCall("add", {"a": "one"}),
            ParsedCall("subtract", {}),
            ParsedCall(None, {}, "not valid JSON"),
        )
    ]
    assert found == [CallError.NOT_RUN, CallError.INVALID_ARGUMENTS, CallError.UNKNOWN_TOOL, CallError.MALFORMED]


def test_a_turn_with_a_malformed_call_keeps_its_whole_text():
    good, bad = ParsedCall("add", {"a": 1}), ParsedCall(None, {}, "not valid JSON")
    assert turn_message(AssistantTurn("Add.", "", (good,)), "the text", 3) == {
        "role": "assistant",
        "content": "Add.",
        "tool_calls": [{"id": "call_3", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}],
    }
    assert turn_message(AssistantTurn("Add.", "", (good, bad)), "the text", 3) == {
        "role": "assistant",
        "content": "the text",
    }


def test_a_task_is_asked_after_its_system_text_and_earlier_turns(chat):
    earlier = (
        {"role": "system", "content": "You add."},
        {"role": "user", "content": "What is 1 plus 1?"},
        {"role": "assistant", "content": "2."},
    )
    told = one(chat, [call() + END, "5" + END], earlier=earlier)
    assert told.messages[:4] == [*earlier, {"role": "user", "content": "What is 2 plus 3?"}]
    assert told.turns == 2 and [record.turn for record in told.calls] == [1]
    assert told.calls_with_results()[0].result == "5"
    prompt = told.tokens.token_ids[: told.tokens.loss_mask.index(True)]
    assert "system\nYou add.<|im_end|>" in chat.decode(prompt) and "assistant\n2.<|im_end|>" in chat.decode(prompt)
    assert chat.render_messages(told.messages, told.tools).token_ids == told.tokens.token_ids
