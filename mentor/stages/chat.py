"""`stage=chat`: talk to a model of the run, or to its teacher, in the terminal, as it was trained or asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from time import perf_counter

from rich.console import Console
from rich.text import Text

from mentor.config import ChatStage, Config
from mentor.environment.dialogue import Dialogue, NoAnswer
from mentor.errors import one_line
from mentor.loggers import Logger
from mentor.runs import RunFolder
from mentor.stages import StageResult
from mentor.stages.chat_partner import open_dialogue
from mentor.stages.check_chat import show_tokens
from mentor.types import StopReason, Trajectory

HELP = "/reset forgets what was said, /trace shows the last answer's tokens and which are trained, /quit or Ctrl-D ends"
NO_TOKENS = "an endpoint answers in text, so /trace has no tokens to show: only a model in this process has"
SPEAKERS = {"call": "cyan", "result": "yellow", "thinking": "dim", "answer": "bold", "stopped": "red"}


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Answer `stage.question`, or whatever is typed until the end of the input."""
    stage, began = config.stage, perf_counter()
    assert isinstance(stage, ChatStage)
    with open_dialogue(config, folder.root, logger.message) as dialogue:
        console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        if stage.question is not None:
            answers = [dialogue.ask(stage.question)]
            show(answers[0], console)
        else:
            logger.message(HELP)
            answers = list(talk(dialogue, console))
    return StageResult(counts={"questions": len(answers)}, seconds={"total": perf_counter() - began})


def talk(dialogue: Dialogue, console: Console) -> Iterator[Trajectory]:
    """Read questions and commands until the input ends; show and yield every answer."""
    last: Trajectory | None = None
    while (line := read_line()) is not None:
        said = line.strip()
        if said in ("/quit", "/exit"):
            return
        if said == "/reset":
            dialogue.reset()
            console.print("forgotten", style="dim")
        elif said == "/trace" and dialogue.chat is None:
            console.print(NO_TOKENS, style="dim")
        elif said == "/trace" and dialogue.chat is not None and last is not None and last.tokens is not None:
            show_tokens(dialogue.chat, last.tokens, console)
        elif said.startswith("/"):
            console.print(HELP, style="dim")
        elif said:
            try:
                last = dialogue.ask(said)
            except NoAnswer as error:
                console.print(Text(f"no answer: {one_line(error)}", SPEAKERS["stopped"]))
                continue
            show(last, console)
            yield last


def read_line() -> str | None:
    """Read a line, with editing and a prompt on a terminal; None at the end of the input, and after Ctrl-C."""
    if sys.stdin.isatty():
        import readline  # noqa: F401  input() edits lines with it
    try:
        return input("> " if sys.stdin.isatty() else "")
    except (EOFError, KeyboardInterrupt):
        return None


def show(trajectory: Trajectory, console: Console) -> None:
    """Print the turns that answer a question: thinking, calls, results and the answer."""
    for kind, text in lines(trajectory):
        console.print(Text(text, SPEAKERS[kind]))


def lines(trajectory: Trajectory) -> Iterator[tuple[str, str]]:
    """Yield (kind of SPEAKERS, text) of each thing said after the question."""
    for message in trajectory.messages[len(trajectory.task.prompt) :]:
        if message["role"] == "tool":
            yield "result", f"<- {message['content']}"
            continue
        if message.get("reasoning_content"):
            yield "thinking", message["reasoning_content"].strip()
        if message.get("content"):
            yield "answer", message["content"]
        for call in message.get("tool_calls") or ():
            function = call["function"]
            yield "call", f"-> {function['name']}({json.dumps(function['arguments'], ensure_ascii=False)})"
    if trajectory.stop_reason is not StopReason.ANSWERED:
        yield "stopped", f"no answer: {trajectory.stop_reason.value}"
