"""Which message may follow which, and which call a result answers."""

import pytest

from mentor.chat.conversation import ConversationError, check_roles, ordered
from mentor.chat.messages import make_call


def user(text="How many?"):
    return {"role": "user", "content": text}


def turn(*names, text=""):
    calls = [{**make_call(name, {}), "id": f"c{number}"} for number, name in enumerate(names)]
    return {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}


def result(text, call=None, **more):
    return {"role": "tool", "content": text, **({"tool_call_id": call} if call else {}), **more}


def texts(messages):
    return [message["content"] for message in ordered(messages) if message["role"] == "tool"]


def test_results_take_the_order_of_their_calls_by_id_and_the_name_of_the_tool():
    messages = [
        user(),
        turn("stock", "price"),
        result("9", "c1"),
        result("3", "c0"),
        turn(text="3 at 9."),
        user("Thanks"),
    ]
    done = ordered(messages)
    assert [(m["content"], m["name"]) for m in done[2:4]] == [("3", "stock"), ("9", "price")]
    assert [m["role"] for m in done] == [m["role"] for m in messages] and messages[2]["content"] == "9"


def test_without_ids_results_answer_in_order_or_by_name():
    assert texts([user(), turn("a", "b"), result("1"), result("2")]) == ["1", "2"]
    assert texts([user(), turn("a", "b"), result("2", name="b"), result("1", name="a")]) == ["1", "2"]
    assert texts([user(), turn("a", "a"), result("1", name="a"), result("2", name="a")]) == ["1", "2"]
    assert texts([{"role": "system", "content": ""}, user(), turn("a")]) == [], "a conversation may end with its calls"


@pytest.mark.parametrize(
    ("messages", "reason", "said"),
    [
        ([user(), {"role": "oracle"}], "unknown_role", r"message 2 \(oracle\): accepted are the roles system, user"),
        ([user(), "hm"], "unknown_role", r"message 2 \(None\)"),
        ([], "no_user", r"message 0 \(None\)"),
        ([user(), user()], "no_assistant", r"message 2 \(user\): is the last, none is assistant"),
        ([user(), turn(text="Hi."), result("3")], "unknown_result", r"message 3 \(tool\): is a result, and no call"),
        (
            [user(), turn("a"), result("3", "c7")],
            "unknown_result",
            r"message 3 \(tool\): answers call 'c7', which message 2",
        ),
        (
            [user(), turn("a"), result("3", "c0"), result("4", "c0")],
            "unknown_result",
            "is a second result of call 1, 'a'",
        ),
        ([user(), turn("a"), result("3", name="b")], "unknown_result", "is a result of 'b', and message 2 calls a"),
        ([user(), turn("a"), result("3"), result("4")], "unknown_result", "one result too many for the 1 calls"),
        ([user(), turn("a"), user(), result("3", "c0")], "missing_result", r"before message 3 \(user\)"),
        (
            [user(), turn("a", "b"), result("3", "c0")],
            "missing_result",
            r"call 2, 'b' \(id c1\), has no result and others",
        ),
        ([user(), turn(text="Hi."), turn(text="Ho.")], "order", r"message 3 \(assistant\): follows message 2"),
    ],
)
def test_what_makes_no_sense_names_the_message_and_its_role(messages, reason, said):
    with pytest.raises(ConversationError, match=said) as caught:
        ordered(messages)
    assert caught.value.reason == reason


def test_a_turn_follows_the_results_of_another():
    messages = [user(), turn("a"), result("1", "c0"), turn("b"), result("2", "c0"), turn(text="2")]
    check_roles(messages)
    assert ordered(messages) == [
        *messages[:2],
        {**messages[2], "name": "a"},
        messages[3],
        {**messages[4], "name": "b"},
        turn(text="2"),
    ]
