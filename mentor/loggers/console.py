"""What the user sees on stderr: a progress bar on a terminal, plain lines at a bounded rate elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

LINE_EVERY_S = 10.0


class Progress(Protocol):
    """One running count."""

    def advance(self, n: int = 1, **shown: float | int | str) -> None:
        """Count `n` more; `shown` are the values to show beside the bar."""


class Console:
    """`bars=False` keeps messages and drops progress; `quiet` drops messages too."""

    def __init__(self, bars: bool = True, line_every_s: float = LINE_EVERY_S, quiet: bool = False) -> None:
        self._rich = RichConsole(stderr=True, highlight=False, quiet=quiet)
        self._bars = bars
        self._line_every_s = line_every_s

    def message(self, text: str) -> None:
        self._rich.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, total: int, description: str, done: int = 0) -> Iterator[Progress]:
        """Show a running count. done: what an earlier process did of `total`; the time left is estimated without it."""
        if not self._bars:
            yield SilentProgress()
        elif self._rich.is_terminal:
            with _bar(self._rich) as bar:
                yield BarProgress(bar, bar.add_task(description, total=total, completed=done, shown=""))
        else:
            lines = LineProgress(total, description, self._line_every_s, done)
            yield lines
            lines.finish()


class SilentProgress:
    def advance(self, n: int = 1, **shown: float | int | str) -> None:
        """Show nothing."""


class BarProgress:
    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def advance(self, n: int = 1, **shown: float | int | str) -> None:
        if shown:
            self._bar.update(self._task, advance=n, shown=_text(shown))
        else:
            self._bar.update(self._task, advance=n)


class LineProgress:
    """A line at most every `every_s` seconds, and one at the end."""

    def __init__(self, total: int, description: str, every_s: float, done: int = 0) -> None:
        self._total, self._description, self._every_s = total, description, every_s
        self._done, self._before, self._shown = done, done, ""
        self._began = self._last = time.monotonic()

    def advance(self, n: int = 1, **shown: float | int | str) -> None:
        self._done += n
        if shown:
            self._shown = _text(shown)
        if time.monotonic() - self._last >= self._every_s:
            self._write()

    def finish(self) -> None:
        self._write()

    def _write(self) -> None:
        self._last = time.monotonic()
        seconds = self._last - self._began
        done, total, here = self._done, self._total, self._done - self._before
        left = f", {seconds / here * (total - done):.0f} s left" if here and done < total else ""
        line = f"{self._description} {done}/{total} {seconds:.0f} s{left} {self._shown}".rstrip()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _bar(console: RichConsole) -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[shown]}", markup=False),
        console=console,
    )


def _text(shown: dict[str, float | int | str]) -> str:
    return " ".join(
        f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}" for key, value in shown.items()
    )
