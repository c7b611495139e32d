"""The marks around an assistant's thinking, as data: `<think>` and `</think>`, and what other families write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Thinking:
    """opening, closing: the marks; white space behind them is free.

    each: every stretch between the marks is thinking, as in turns of several messages, where what follows is a header.
    Otherwise all up to the last closing mark is, opened or not.
    """

    opening: str = "<think>"
    closing: str = "</think>"
    each: bool = False

    def opened(self, prompt: str) -> re.Match[str] | None:
        """What at the end of a prompt opens the turn's thinking, or opens and closes it; None where nothing does."""
        return self._opened.search(prompt)

    def opens(self, prompt: str) -> bool:
        """Whether a prompt ends inside the turn's thinking."""
        return prompt.rstrip().endswith(self.opening)

    def stands_in(self, text: str) -> bool:
        return self.opening in text or self.closing in text

    def leading(self, text: str) -> int:
        """How many characters of a text are a closed thought that it begins with."""
        match = self._closed.match(text, len(text) - len(text.lstrip()))
        return match.end() if match else 0

    def split(self, text: str, outside: str, inside: bool = False) -> tuple[str, str]:
        """Return a turn's thinking, and the rest of its text. Thinking that is not closed reaches to the end.

        outside: the text with its calls blanked, so that no mark in a call counts. inside: the prompt opens the
        thinking.
        """
        if self.each:
            return self._split_each(text, outside)
        close = outside.rfind(self.closing)
        if close >= 0:
            return self._without_opening(text[:close]), text[close + len(self.closing) :]
        if inside:
            return self._without_opening(text), ""
        opening = outside.find(self.opening)
        return (text[opening + len(self.opening) :].strip(), text[:opening]) if opening >= 0 else ("", text)

    def left_open(self, outside: str, inside: bool = False) -> bool:
        """Whether what follows a turn's text would be thinking; outside, inside: as of `split`."""
        if self.each:
            return outside.rfind(self.opening) > outside.rfind(self.closing)
        return self.closing not in outside and (inside or self.opening in outside)

    def removed(self, text: str) -> str:
        """Remove the closed thinking of any number of turns, and the white space behind it that is free."""
        return self._closed.sub("", text)

    def _split_each(self, text: str, outside: str) -> tuple[str, str]:
        thoughts, rest, position = [], [], 0
        for match in self._stretch.finditer(outside):
            thoughts.append(text[match.start(1) : match.end(1)].strip())
            rest.append(text[position : match.start()])
            position = match.end()
        return "\n\n".join(thoughts), "".join([*rest, text[position:]])

    def _without_opening(self, text: str) -> str:
        return text.replace(self.opening, "").strip()

    @cached_property
    def _opened(self) -> re.Pattern[str]:
        opening, closing = re.escape(self.opening), re.escape(self.closing)
        return re.compile(rf"{opening}(\s*{closing})?\s*\Z")

    @cached_property
    def _closed(self) -> re.Pattern[str]:
        thought = rf"{re.escape(self.opening)}.*?{re.escape(self.closing)}"
        return re.compile(rf"(?<!\s)\s*{thought}" if self.each else rf"{thought}\s*", re.DOTALL)

    @cached_property
    def _stretch(self) -> re.Pattern[str]:
        opening, closing = re.escape(self.opening), re.escape(self.closing)
        return re.compile(rf"(?<!\s)\s*{opening}(.*?)(?:{closing}|\Z)", re.DOTALL)


THINK = Thinking()
