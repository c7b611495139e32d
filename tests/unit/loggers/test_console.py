"""The console stays readable without a terminal."""

import pytest

from mentor.loggers.console import Console


def test_progress_without_a_terminal_is_plain_and_bounded(capsys: pytest.CaptureFixture[str]):
    with Console(line_every_s=1000).progress(100, "rl") as bar:
        for step in range(100):
            bar.advance(reward=step / 100)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("rl 100/100") and lines[0].endswith("reward=0.99")


def test_message_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]):
    text = "[bold]x[/bold] " + "long " * 60
    Console(bars=False).message(text)
    assert capsys.readouterr().err == text + "\n"
