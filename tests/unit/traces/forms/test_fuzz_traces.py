"""Conversations at random, shuffled and damaged: read rightly, or refused in one line naming message and role."""

import json
import random
import re

import pytest

from mentor.chat.conversation import ConversationError
from mentor.traces.forms import FORMS, find_form
from mentor.traces.trace import TraceError

NAMES = ("stock", "price", "now")


def conversation(rng):
    """OpenAI messages with, as values, what every call returned; contents and arguments in any of their shapes."""
    messages = [{"role": "system", "content": "Be brief."}] if rng.random() < 0.5 else []
    expected, number = [], 0
    for turn in range(rng.randint(1, 3)):
        text = f"Question {turn}?"
        parts = [{"type": "text", "text": text[:4]}, [{"type": "text", "text": text[4:]}]]
        messages.append({"role": "user", "content": rng.choice([text, parts])})
        for _ in range(rng.randint(0, 2)):
            calls, results = [], []
            for _ in range(rng.randint(1, 3)):
                arguments = {"item": f"i{number}", "none": None}
                shape = rng.choice([arguments, json.dumps(arguments)])
                function = {"name": rng.choice(NAMES), "arguments": shape}
                calls.append({"id": f"c{number}", "type": "function", "function": function})
                results.append({"role": "tool", "tool_call_id": f"c{number}", "content": f"r{number}"})
                expected.append((function["name"], arguments, f"r{number}"))
                number += 1
            rng.shuffle(results)
            messages += [
                {"role": "assistant", "content": rng.choice([None, "", "Look."]), "tool_calls": calls},
                *results,
            ]
        messages.append({"role": "assistant", "content": f"Answer {turn}."})
    return messages, expected


def found(messages):
    trace = FORMS["openai"].read({"messages": messages})
    results = [m["content"] for m in trace.messages if m["role"] == "tool"]
    assert [m["content"] for m in trace.messages if m["role"] == "user"] == [
        f"Question {n}?" for n in range(users(trace))
    ]
    return [(call["name"], call["arguments"], text) for call, text in zip(trace.calls, results, strict=True)]


def users(trace):
    return sum(message["role"] == "user" for message in trace.messages)


def without_ids(messages):
    stripped = json.loads(json.dumps(messages))
    for message in stripped:
        message.pop("tool_call_id", None)
        for call in message.get("tool_calls") or ():
            call.pop("id")
    return stripped


@pytest.mark.parametrize("seed", range(40))
def test_results_in_any_order_belong_to_their_ids_and_in_order_without(seed):
    rng = random.Random(seed)
    messages, expected = conversation(rng)
    assert found(messages) == expected
    in_order = sorted(
        range(len(messages)),
        key=lambda place: (_block(messages, place), int(messages[place].get("tool_call_id", "c0")[1:])),
    )
    assert found(without_ids([messages[place] for place in in_order])) == expected


def _block(messages, place):
    """The place of the first of a run of results, else the message's own."""
    while messages[place]["role"] == "tool" and messages[place - 1]["role"] == "tool":
        place -= 1
    return place


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_refused_with_message_and_role(seed):
    rng = random.Random(seed)
    messages, expected = conversation(rng)
    results = [place for place, message in enumerate(messages) if message["role"] == "tool"]
    if not results:
        return
    place = rng.choice(results)
    copy = lambda: json.loads(json.dumps(messages))  # noqa: E731
    missing, doubled, foreign, misnamed, image = copy(), copy(), copy(), copy(), copy()
    del missing[place]
    doubled.insert(place, messages[place])
    foreign[place]["tool_call_id"] = "other"
    misnamed[place]["role"] = "oracle"
    image[0]["content"] = [{"type": "image_url"}]
    for damaged in (missing, doubled, foreign, misnamed, image):
        with pytest.raises(ConversationError) as caught:
            FORMS["openai"].read({"messages": damaged})
        assert re.match(r"message \d+ \(\w+\): ", str(caught.value)) and "\n" not in str(caught.value)


def test_rows_of_any_value_are_read_or_refused_by_every_form():
    rng = random.Random(0)
    values = [
        None,
        "",
        "x",
        3,
        [],
        {},
        [3],
        [{}],
        [{"role": "user"}],
        [{"from": "gpt", "value": [[]]}],
        {"a": 1},
        "[{",
        True,
    ]
    columns = ("messages", "conversations", "traj", "chat", "sample", "system", "tools", "query", "response", "history")
    for _ in range(400):
        row = {column: rng.choice(values) for column in rng.sample(columns, 4)}
        for form in FORMS.values():
            form.fits(row)
            with pytest.raises((ConversationError, TraceError)):
                form.read(row)
    assert find_form("openai", [{}], "f").name == "openai"
