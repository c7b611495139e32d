"""ShareGPT rows without tools."""

from mentor.traces.forms import detect, share_gpt
from mentor.traces.forms.share_gpt import read

ROW = {
    "conversations": [
        {"from": "human", "value": "Hello?"},
        {"from": "gpt", "value": "Hi."},
        {"from": "human", "value": "And?"},
        {"from": "gpt", "value": "So."},
    ],
    "system": "Be brief.",
}


def test_a_conversation_with_its_system_text_in_a_column():
    trace = read(ROW)
    assert detect([ROW]) is share_gpt.FORM and trace.tools is None
    assert [(message["role"], message["content"]) for message in trace.messages] == [
        ("system", "Be brief."),
        ("user", "Hello?"),
        ("assistant", "Hi."),
        ("user", "And?"),
        ("assistant", "So."),
    ]
