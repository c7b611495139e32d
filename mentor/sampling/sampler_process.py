"""The process of an embedded sampler: `python -m mentor.sampling.sampler_process FD`.

It loads its own model, then does what comes over the connection FD, in order, and samples in between. `process_sampler`
is the other end. Messages are pairs of a name and arguments; a sampler that fails says so and ends, and so does one
whose other end is closed.
"""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import torch

from mentor.errors import MentorError, one_line
from mentor.policy.lora import add_adapters
from mentor.policy.model import load_model
from mentor.sampling.transformers_sampler import TransformersSampler
from mentor.sampling.weight_files import stored_weights

SIGN_S = 1.0  # a process that samples says something at least so often, if no step takes longer
ANSWERED = ("load_files", "logprobs", "checksums")


@dataclass(frozen=True)
class ProcessSettings:
    """How to start an embedded sampler in a process of its own.

    model: a folder or hub name. max_tokens: of one conversation. threads: of torch. attention: see `choose_attention`.
    lora_rank: of the adapters that are pushed to it, 0 without. first_gpu: the only one it runs on, if there are any.
    """

    model: str
    dtype: torch.dtype
    max_running: int
    max_tokens: int
    threads: int = 1
    attention: str | None = None
    lora_rank: int = 0
    first_gpu: int = 0


def main() -> int:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # Slurm warns every process of a job
    with Connection(int(sys.argv[1])) as connection:
        settings: ProcessSettings = connection.recv()
        torch.set_num_threads(settings.threads)
        serve(connection, lambda: build(settings))
    return 0


def build(settings: ProcessSettings) -> TransformersSampler:
    """Load the model, with adapters that change nothing before the first push."""
    model = load_model(settings.model, attention=settings.attention)
    if settings.lora_rank:
        add_adapters(model, settings.lora_rank, alpha=settings.lora_rank)  # B is pushed times alpha / r
    return TransformersSampler(model, (), settings.max_running, settings.dtype, settings.max_tokens)


def serve(connection: Connection, start: Callable[[], TransformersSampler]) -> None:
    """Start the sampler and do what the other end asks for, until that is closed."""
    messages: SimpleQueue[tuple[str, tuple[Any, ...]] | None] = SimpleQueue()
    Thread(target=_receive, args=(connection, messages), name="messages", daemon=True).start()
    try:
        try:
            sampler = start()
            connection.send(("ready", sampler.vocab_size))
            _work(sampler, messages, connection)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            if not isinstance(error, MentorError):
                traceback.print_exc()
            connection.send(("failed", one_line(error)))
    except (BrokenPipeError, ConnectionResetError):
        return  # the other end has gone


def _receive(connection: Connection, messages: SimpleQueue[Any]) -> None:
    """Take messages at once, so that the other end never waits for a step of the sampler."""
    try:
        while True:
            messages.put(connection.recv())
    except (EOFError, OSError):
        messages.put(None)


def _work(sampler: TransformersSampler, messages: SimpleQueue[Any], connection: Connection) -> None:
    """Sample while there are requests, and do what is asked between two steps."""
    said = time.monotonic()
    while True:
        while not sampler.busy or not messages.empty():
            message = messages.get()
            if message is None:
                return
            name, arguments = message
            answer = _do(sampler, name, arguments)
            if name in ANSWERED:
                connection.send(("answer", answer))
        done = sampler.step()
        if done or time.monotonic() > said + SIGN_S:
            connection.send(("done", done))
            said = time.monotonic()


def _do(sampler: TransformersSampler, name: str, arguments: tuple[Any, ...]) -> Any:
    match name:
        case "add_requests":
            sampler.end_ids, requests = arguments
            for request in requests:
                sampler.add_request(*request)
        case "load_files":
            sampler.load_weights(stored_weights(Path(arguments[0])))
        case _:
            return getattr(sampler, name)(*arguments)


if __name__ == "__main__":
    sys.exit(main())
