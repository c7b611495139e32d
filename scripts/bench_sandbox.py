"""Calls per second of the tool executor, beside the released tool server's design in one run.

    python scripts/bench_sandbox.py shared/bench/released_sandbox.py [--seconds 2] [--rounds 3] [--workers 2]
        [--json PATH]

The first argument is a server program that is started as `PROGRAM PORT` and driven as `PROGRAM PORT --drive CALLS` by 8
client threads; it needs fastapi, uvicorn and requests. The executor is driven by 8 concurrent clients in this process.
Rounds alternate, so that a loaded machine loads both; the ratio is of medians. Workloads:

- `stateless`: the built-in calculator, in held sessions of monty;
- `sessions`: the same tools with a fresh session for every 4 calls, as a trajectory has;
- `cpython` and `cpython sessions`: the same in CPython workers.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mentor.tools import ToolExecutor, Toolset
from scripts.arguments import positive_int, positive_seconds
from scripts.benchmark_record import BenchmarkTable, add_json_option, report

CLIENTS = 8
CALLS_A_SESSION = 4


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("released", type=Path, help="the server program to compare with")
    parser.add_argument("--seconds", type=positive_seconds, default=2.0, help="of each measurement of the executor")
    parser.add_argument("--calls", type=positive_int, default=1500, help="of each measurement of the server")
    parser.add_argument("--rounds", type=positive_int, default=3)
    parser.add_argument("--workers", type=positive_int, default=2, help="calls at once")
    add_json_option(parser)
    settings = parser.parse_args(arguments)
    calculator = Toolset.builtin("calculator")
    stateful = replace(calculator, stateless=False)
    cpython = replace(stateful, engine="cpython")
    workloads = {
        "stateless": (calculator, False),
        "sessions": (stateful, True),
        "cpython": (cpython, False),
        "cpython sessions": (cpython, True),
    }
    rates: dict[str, list[float]] = {"released": [], **{name: [] for name in workloads}}
    with server(settings.released) as port:
        for _ in range(settings.rounds):
            rates["released"].append(released_rate(settings.released, port, settings.calls))
            for name, (toolset, fresh) in workloads.items():
                rates[name].append(asyncio.run(rate(toolset, fresh, settings.seconds, settings.workers)))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    rows = [
        (name, middle, middle / medians["released"], " ".join(f"{value:.0f}" for value in rates[name]))
        for name, middle in medians.items()
    ]
    report([BenchmarkTable("Calls of tools", ("workload", "calls a second", "ratio", "rounds"), rows)], settings.json)
    return 0


async def rate(toolset: Toolset, fresh: bool, seconds: float, workers: int) -> float:
    """Measure calls per second of CLIENTS clients; with `fresh` a new session for every CALLS_A_SESSION calls."""
    async with ToolExecutor(toolset, workers=workers) as executor:
        await asyncio.gather(*(client(executor, n, fresh, 0.2) for n in range(CLIENTS)))
        start = time.perf_counter()
        calls = await asyncio.gather(*(client(executor, n, fresh, seconds) for n in range(CLIENTS)))
        return sum(calls) / (time.perf_counter() - start)


async def client(executor: ToolExecutor, number: int, fresh: bool, seconds: float) -> int:
    """Make calls until the time is over and check each result; return how many."""
    calls, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        session = f"{number}/{calls}" if fresh else str(number)
        for _ in range(CALLS_A_SESSION):
            result = await executor.call("add", {"a": calls, "b": 3}, session)
            assert result.text == str(calls + 3), result
            calls += 1
        if fresh:
            await executor.end_session(session)
    return calls


@contextmanager
def server(program: Path) -> Iterator[int]:
    """Run the server and give its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, str(program), str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                time.sleep(0.1)
                if process.poll() is not None:
                    raise SystemExit(f"{program} ended: does it have fastapi and uvicorn?")
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
            yield port
        finally:
            process.kill()


def released_rate(program: Path, port: int, calls: int) -> float:
    driven = subprocess.run(
        [sys.executable, str(program), str(port), "--drive", str(calls)], capture_output=True, text=True, check=True
    )
    found = re.search(r"calls_per_s (\d+)", driven.stdout)
    if found is None:
        raise SystemExit(f"{program} printed no calls_per_s: {driven.stdout[:200]!r}")
    return float(found[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
