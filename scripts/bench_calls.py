"""Seconds that the parser takes to read turns, in each call syntax.

    python scripts/bench_calls.py [--turns 3000] [--rounds 3] [--json PATH]

Every turn is a call of two arguments as the syntax writes it. CPU seconds of this process, the fastest round.
"""

from __future__ import annotations

import argparse
import sys
import time

from mentor.chat import parse_turn
from mentor.chat.messages import make_call
from mentor.chat.syntax import SYNTAXES, CallSyntax
from scripts.arguments import positive_int
from scripts.benchmark_record import BenchmarkTable, add_json_option, report

SCHEMAS = {"add": {"properties": {"s": {"type": "string"}, "a": {"type": "integer"}}}}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=positive_int, default=3000)
    parser.add_argument("--rounds", type=positive_int, default=3)
    add_json_option(parser)
    settings = parser.parse_args(arguments)
    rows = [(syntax.name, min(seconds(syntax, settings.turns) for _ in range(settings.rounds))) for syntax in SYNTAXES]
    report([BenchmarkTable(f"Reading {settings.turns:,} turns", ("syntax", "seconds"), rows)], settings.json)
    return 0


def seconds(syntax: CallSyntax, turns: int) -> float:
    """Read the turns. Raises ValueError where a call is not read."""
    assert syntax.write is not None
    text = syntax.write([make_call("add", {"a": 12, "s": "seven"})])
    if [call.problem for call in parse_turn(text, syntax, schemas=SCHEMAS).calls] != [None]:
        raise ValueError(f"{syntax.name} does not read {text}")
    began = time.process_time()
    for _ in range(turns):
        parse_turn(text, syntax, schemas=SCHEMAS)
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
