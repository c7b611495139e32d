"""A process that calls one function of a user's file: pickled trajectories on stdin, a JSON line for each on stdout.

Started by `own_function.py` as `python -m mentor.rewards.function_worker FILE FUNCTION`. The function is trusted: it
runs without a sandbox. What it prints goes to stderr. The process ends with its stdin, and with its parent.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import math
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, TextIO

from mentor.rewards.own_function import ARGUMENTS, SIZE
from mentor.types import Trajectory

PARENT_POLL_S = 1.0


def main(file: str, function: str) -> None:
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    threading.Thread(target=_end_with_parent, args=[os.getppid()], daemon=True).start()
    try:
        called, wanted = load(Path(file), function)
    except Exception as error:
        _send(replies, {"failure": f"{_said(error)}{place(error, Path(file))}"})
        return
    _send(replies, {"ready": True})
    serve(sys.stdin.buffer, replies, called, wanted, Path(file))


def serve(requests: BinaryIO, replies: TextIO, called: Callable[..., Any], wanted: tuple[str, ...], file: Path) -> None:
    """Answer each request with one line, in order. What the function raises is an answer."""
    while head := requests.read(SIZE.size):
        trajectory = pickle.loads(requests.read(SIZE.unpack(head)[0]))
        _send(replies, answer(called, wanted, trajectory, file))


def load(file: Path, function: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """Run a file and return its function with the arguments it takes. Raises what the file does, and TypeError."""
    sys.path.insert(0, str(file.resolve().parent))  # for the modules beside it
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    called = getattr(module, function)
    parameters = inspect.signature(called).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return called, ARGUMENTS
    names = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL]
    required = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    if not set(required) <= set(ARGUMENTS) or not set(names) & set(ARGUMENTS):
        raise TypeError(f"{function} takes {', '.join(names) or 'nothing'}; accepted: any of {', '.join(ARGUMENTS)}")
    return called, tuple(name for name in ARGUMENTS if name in names)


def answer(called: Callable[..., Any], wanted: tuple[str, ...], trajectory: Trajectory, file: Path) -> dict[str, Any]:
    """Call the function. Returns {"value": a number, or numbers by name}, or {"failure": one line, "kind": a word}."""
    given = {"task": trajectory.task, "trajectory": trajectory, "calls": trajectory.calls_with_results()}
    try:
        return {"value": plain(called(**{name: given[name] for name in wanted}))}
    except BadValue as error:
        return {"failure": f"returned {error}", "kind": "bad_value"}
    except Exception as error:
        return {"failure": f"raised {_said(error)}{place(error, file)}", "kind": "exception"}


class BadValue(Exception):
    """What a function returned is no number and no mapping of numbers."""


def plain(value: Any) -> float | dict[str, float]:
    """Return a number, or the numbers of a mapping, as floats. Raises BadValue for anything else, NaN and infinity."""
    if isinstance(value, Mapping):
        for name in value:
            if not (isinstance(name, str) and name.isidentifier()):
                raise BadValue(f"a mapping with the name {name!r}; accepted: letters, digits and _")
        if not value:
            raise BadValue("an empty mapping; accepted: a number, or numbers by name")
        return {name: _number(entry, f"{name}=") for name, entry in value.items()}
    return _number(value, "")


def _number(value: Any, name: str) -> float:
    item = getattr(value, "item", None)  # of NumPy and torch
    value = item() if callable(item) else value
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return float(value)
    raise BadValue(f"{name}{value!r:.80}; accepted: a finite number, or finite numbers by name")


def place(error: Exception, file: Path) -> str:
    """Say in which line of the user's file an error arose; nothing where it is in none."""
    if isinstance(error, SyntaxError):
        return f" ({file.name}:{error.lineno})"
    own = file.resolve()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == own]
    return f" ({file.name}:{frames[-1].lineno})" if frames else ""


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_S)
    os._exit(1)


def _send(replies: TextIO, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
