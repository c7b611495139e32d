"""The judge that a stage's rewards and graders ask, where any of them names a rubric."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mentor.config import Config, JudgeConfig
from mentor.endpoints.background import BackgroundEndpoint
from mentor.endpoints.spending import Spending
from mentor.jsonl import Report
from mentor.reward_keys import asks_judge

ENDPOINT_KEYS = (
    *("base_url", "model", "temperature", "top_p", "max_tokens", "seed", "extra_body"),
    *("concurrency", "timeout_s", "max_retries", "max_retry_s"),
)
FOLDER = "judge"


@contextmanager
def open_judge(
    config: Config, folder: Path | None, report: Report, share: int = 1, rank: int = 0
) -> Iterator[BackgroundEndpoint | None]:
    """Open the judge with its answers below `folder`; None where nothing asks it.

    folder: None keeps no answers. share: ranks that spend together, each with its part of the caps and its own answers.
    Reports what was asked at the end.
    """
    settings = config.judge
    if settings is None or not asks_judge(config.reward, config.benchmark):
        yield None
        return
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) if folder is None else folder / (f"{FOLDER}-rank{rank}" if rank else FOLDER)
        keys = {name: getattr(settings, name) for name in ENDPOINT_KEYS}
        with BackgroundEndpoint(store, _spending(settings, share), settings.api_key_env, keys, report) as endpoint:
            yield endpoint
            report(f"judge: {endpoint.counts()}")


def _spending(settings: JudgeConfig, share: int) -> Spending:
    tokens, cost = settings.max_total_tokens, settings.max_cost
    return Spending(
        "judge",
        None if tokens is None else -(-tokens // share),
        None if cost is None else cost / share,
        settings.input_price,
        settings.output_price,
    )
