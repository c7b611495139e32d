"""A student is asked in a terminal, from Python and by eval, and says the same with the same tools; so is a teacher."""

import asyncio
import json
import os
import pty
import select
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest

import mentor
from mentor.cli import main
from mentor.errors import RunFolderError
from mentor.stages.chat import NO_TOKENS
from tests.fixtures.served import served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a student that calls tools."""
    folder = tmp_path_factory.mktemp("made")
    with chdir(folder):
        assert main(["stage=pretrain", "debug=default"]) == 0
    return folder


class Terminal:
    """A pseudo-terminal whose foreground is a command. shown: what it printed."""

    def __init__(self, command: list[str], cwd: Path) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(command[0], command, {**os.environ, "NO_COLOR": "1", "TERM": "dumb"})
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def until(self, text: str, seconds: float = 120) -> str:
        """Read until `text` is shown; returns what came before it, and keeps what came after."""
        deadline = time.monotonic() + seconds
        while text not in self.shown and time.monotonic() < deadline and self._read():
            pass
        before, found, self.shown = self.shown.partition(text)
        assert found, before
        return before

    def end(self) -> int:
        """Read on until the command has ended; returns its exit code."""
        while self._read():
            pass
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        if not select.select([self._fd], [], [], 1.0)[0]:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


@contextmanager
def chat_in_terminal(folder: Path, *overrides: str, run: str = "debug") -> Iterator[Terminal]:
    terminal = Terminal([sys.executable, "-m", "mentor.cli", "stage=chat", f"run={run}", *overrides], folder)
    terminal.until("\n> ")
    yield terminal


def test_a_conversation_in_a_terminal(made: Path):
    with chat_in_terminal(made) as terminal:
        terminal.type("What is 12 plus 7?\n")
        said = terminal.until("\n> ")
        assert '-> add({"a": 12, "b": 7})' in said and "<- 19" in said, said
        terminal.type("/trace\n")
        assert "<tool_response>\n19\n</tool_response>" in terminal.until("\n> ")
        terminal.type("/reset\n")
        assert "forgotten" in terminal.until("\n> ")
        terminal.type("\x04")  # Ctrl-D
        assert terminal.end() == 0


def test_ctrl_c_ends_the_conversation_and_gives_the_terminal_back(made: Path):
    script = f"{sys.executable} -m mentor.cli stage=chat run=debug; echo ended with $?; read line; echo read $line"
    terminal = Terminal(["/bin/bash", "-c", script], made)
    terminal.until("\n> ")
    time.sleep(0.5)  # readline misses a signal between its prompt and its wait for a key
    terminal.type("\x03")
    terminal.until("ended with 0\n")
    terminal.type("more\n")
    terminal.until("read more\n")
    assert terminal.end() == 0


def roll_out(run: str, *teacher: str) -> None:
    """A rollout with a teacher, in the working folder; it need not solve anything."""
    sampled = ["task.size=12", "task.max_steps=1", "teacher.samples=4", "logger.backends=[]"]
    assert main(["stage=rollout", f"run={run}", *sampled, *teacher]) == 0


def test_the_runs_teacher_in_this_process_answers_in_a_terminal(made: Path):
    with chdir(made):
        roll_out("taught", "teacher=model", "teacher.path=outputs/debug/pretrain-s0/model")
    with chat_in_terminal(made, "stage.model=teacher", run="taught") as terminal:
        terminal.type("What is 12 plus 7?\n")
        said = terminal.until("\n> ")
        assert '-> add({"a": 12, "b": 7})' in said and "<- 19" in said, said
        terminal.type("/trace\n")
        assert "<tool_response>\n19\n</tool_response>" in terminal.until("\n> ")
        terminal.type("/quit\n")
        assert terminal.end() == 0
    with chdir(made), mentor.load("taught", "teacher", "teacher.sampler.max_turns=1") as teacher:
        answer = teacher.ask("What is 12 plus 7?")
    assert answer.text is None and answer.trajectory.stop_reason.value == "max_turns"


def test_the_runs_teacher_behind_an_endpoint_answers_in_a_terminal_and_is_stored_nowhere(made: Path):
    """The endpoint is a teacher in a process that is served; its turns come back one by one, and the tools run here."""
    in_process = ["stage.model=teacher", "teacher=model", "teacher.path=outputs/debug/pretrain-s0/model"]
    with served(made, "run=debug", *in_process) as address:
        own = ["teacher.model=pretrain-s0", "teacher.api_key_env=null", "teacher.instruction=null"]
        with chdir(made):
            roll_out("asked", "teacher=openai", f"teacher.base_url={address}", *own)
        stored = sorted(path for path in (made / "outputs/asked").rglob("*"))
        with chat_in_terminal(made, "stage.model=teacher", "teacher.temperature=0", run="asked") as terminal:
            terminal.type("What is 12 plus 7?\n")
            said = terminal.until("\n> ")
            assert '-> add({"a": 12, "b": 7})' in said and "<- 19" in said, said
            terminal.type("/trace\n")
            assert NO_TOKENS in terminal.until("\n> ")
            terminal.type("\x04")
            assert terminal.end() == 0
        assert sorted(path for path in (made / "outputs/asked").rglob("*")) == stored


def test_python_and_eval_say_the_same_to_the_token(made: Path):
    with chdir(made):
        assert main(["stage=eval", "run=debug", "debug=default", "stage.samples=0", "stage.limit=6"]) == 0
        items = [json.loads(line) for line in next(Path("outputs/debug/eval").rglob("items.jsonl")).open()]
        with mentor.load("debug", "pretrain-s0") as student:
            answers = [student.ask(item["task"]["question"]) for item in items]

            async def inside_a_loop() -> str | None:
                return student.ask(answered["task"]["question"]).text

            answered, text = next((i, a.text) for i, a in zip(items, answers, strict=True) if a.text is not None)
            assert asyncio.run(inside_a_loop()) == text
            further = student.ask("And 1 more?", follow_up=True)
    for item, answer in zip(items, answers, strict=True):
        assert answer.trajectory.tokens is not None
        assert answer.trajectory.tokens.token_ids == item["tokens"]["token_ids"]
        assert [text for *_, text in answer.calls] == [m["content"] for m in item["messages"] if m["role"] == "tool"]
    assert any(answer.calls for answer in answers) and further.trajectory.task.earlier


def test_one_question_from_a_script_and_a_model_that_is_not_there(made: Path, capfd: pytest.CaptureFixture[str]):
    with chdir(made):
        assert main(["stage=chat", "run=debug", "stage.question='What is 12 plus 7?'"]) == 0
        assert "<- 19" in capfd.readouterr().out
        with pytest.raises(RunFolderError, match="`stage.model=rl-x-s0` is not a model of .*; it has: pretrain-s0"):
            mentor.load("debug", "rl-x-s0")


def test_a_checkpoint_says_what_its_model_says_and_has_a_card(made: Path):
    with chdir(made):
        run = Path("outputs/debug")
        checkpoint = max((run / "pretrain-s0" / "checkpoints").glob("step-*"))
        step = int(checkpoint.name.removeprefix("step-"))
        only = ["run=debug", "debug=default", "stage.samples=0", "stage.limit=6"]
        for path in (run / "pretrain-s0" / "model", checkpoint.with_name(str(step))):
            assert main(["stage=eval", *only, f"model.path={path}"]) == 0
        found = [folder / "calculator" / "items.jsonl" for folder in sorted((run / "eval").glob("pretrain-s0*"))]
        said = [[json.loads(line)["tokens"]["token_ids"] for line in file.open()] for file in found]
        assert len(said) == 2 and said[0] == said[1], "the last checkpoint is the model"
        card = (checkpoint / "model" / "README.md").read_text()
        assert f"It is the checkpoint after step {step}." in card and "| calculator | test |" in card
        assert "| calculator | test |" in (run / "pretrain-s0" / "model" / "README.md").read_text()
        assert main(["stage=push", "run=debug", f"model.path={checkpoint}", "stage.repo=me/student"]) == 0
