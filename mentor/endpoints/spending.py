"""What requests to an endpoint have used, and the caps on tokens and money."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mentor.endpoints.reply import read_reply
from mentor.jsonl import Record


class NoMoreRequests(Exception):
    """Nothing more may be asked. The message says why and names the key; what was to be asked stays unanswered."""


class Spending:
    """What the stored answers used, and the caps on it. Prices are money for a million tokens.

    section: of the configuration, which errors name.
    """

    def __init__(
        self,
        section: str,
        max_total_tokens: int | None,
        max_cost: float | None,
        input_price: float,
        output_price: float,
    ) -> None:
        self.section = section
        self.max_total_tokens, self.max_cost = max_total_tokens, max_cost
        self.input_price, self.output_price = input_price, output_price
        self.prompt_tokens = self.completion_tokens = self.estimated = 0
        self.flags: Counter[str] = Counter()

    def count(self, record: Record) -> None:
        """Add the usage of one stored answer."""
        usage = record["usage"]
        self.prompt_tokens += usage["prompt_tokens"]
        self.completion_tokens += usage["completion_tokens"]
        self.estimated += usage["estimated"]
        if "message" in record:  # not in scores of given tokens
            self.flags.update(read_reply(record["message"]).flags)

    @property
    def cost(self) -> float:
        return (self.prompt_tokens * self.input_price + self.completion_tokens * self.output_price) / 1e6

    def check(self) -> None:
        """Raise NoMoreRequests where a cap is reached."""
        tokens = self.prompt_tokens + self.completion_tokens
        if self.max_total_tokens is not None and tokens >= self.max_total_tokens:
            raise NoMoreRequests(
                f"{self.section}.max_total_tokens={self.max_total_tokens} is reached ({tokens} tokens)"
            )
        if self.max_cost is not None and self.cost >= self.max_cost:
            raise NoMoreRequests(f"{self.section}.max_cost={self.max_cost} is reached ({self.cost:.4f})")

    def counts(self) -> dict[str, Any]:
        """Return the counts for a summary. estimated_usage: answers without usage, estimated from lengths."""
        tokens = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        flags = dict(self.flags.most_common())
        return {**tokens, "estimated_usage": self.estimated, "cost": round(self.cost, 6), "flags": flags}
