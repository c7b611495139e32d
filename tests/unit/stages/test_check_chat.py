"""What `stage=check` shows of a chat format."""

import pytest

from mentor.chat import ChatFormat
from mentor.stages.check_chat import Stretch, described, show_chat, stretches
from tests.fixtures.chat_templates import ONE_BARE_CALL, OPENS_THINKING, THINKING, with_template

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 12, "b": 7}}\n</tool_call><|im_end|>'
ANSWER = "The answer is \\boxed{19}.<|im_end|>"
RESULT = "\n<|im_start|>user\n<tool_response>\n19\n</tool_response><|im_end|>\n<|im_start|>assistant\n"


def test_a_conversation_is_shown_by_what_is_trained(chat: ChatFormat) -> None:
    prompt, *others = stretches(chat)
    assert prompt.kind == "context" and "What is 12 plus 7?" in prompt.text and "add(a:number,b:number)" in prompt.text
    assert others == [
        Stretch("call", "trained", CALL, len(chat.encode(CALL))),
        Stretch("result", "result", RESULT, len(chat.encode(RESULT))),
        Stretch("answer", "trained", ANSWER, len(chat.encode(ANSWER))),
    ]


def test_a_prompt_without_earlier_thinking_is_shown_again(chat: ChatFormat) -> None:
    opens = with_template(chat, OPENS_THINKING, think_history="strip")
    shown = list(stretches(opens))
    assert [stretch.title for stretch in shown] == ["prompt", "call", "prompt of the next turn", "answer"]
    assert shown[1].text == f"Add them.\n</think>\n\n{CALL}" and shown[3].text == f"It is 19.\n</think>\n\n{ANSWER}"
    assert f"assistant\n{CALL}{RESULT}<think>\n" in shown[2].text and "Add them." not in shown[2].text


def test_what_the_format_holds_is_said_in_lines(chat: ChatFormat) -> None:
    said = "\n".join(described(with_template(chat, ONE_BARE_CALL)))
    assert " conversations pass\n  calls: llama, one call in a turn, no text beside them\n" in said
    assert "\n  end of a turn: <|im_end|>\n" in said
    assert "  skipped: parallel calls, the format has no parallel_calls" in said
    assert "  thinking: kept; of earlier turns: strip" in described(
        with_template(chat, THINKING, think_history="strip")
    )
    broken = with_template(chat, THINKING.replace("message.reasoning_content or ''", "'always'"))
    assert "checks fail, first `round_trip`" in described(broken)[0]


@pytest.mark.parametrize(
    ("environment", "codes"), [({}, ()), ({"FORCE_COLOR": "1"}, ("\x1b[1;32m", "\x1b[33m")), ({"NO_COLOR": "1"}, ())]
)
def test_colours_are_for_terminals(
    chat: ChatFormat,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict,
    codes: tuple,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    show_chat(chat)
    shown = capsys.readouterr().out
    assert all(code in shown for code in codes) and ("\x1b" in shown) == bool(codes)
    assert "--- call: " in shown and "tokens, trained" in shown


def test_no_color_leaves_a_terminal_without_colours(
    chat: ChatFormat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    show_chat(chat)
    shown = capsys.readouterr().out
    assert "32m" not in shown and "33m" not in shown
