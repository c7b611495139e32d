#!/usr/bin/env python3
"""Check the numbers and the speed of this machine's GPU, within ten minutes.

    scripts/gpu_check.sh                   # shapes of Qwen3-0.6B and 1.7B, micro-batches of 8,192 tokens
    scripts/gpu_check.sh --shape tiny      # the same code, on a CPU too

Each part runs in a process of its own and for a bounded time. A part whose packages are not installed, or for which no
time is left, is listed as not run. Exit code 0: nothing failed and every figure is within its limits.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import torch

from scripts.arguments import positive_int, positive_seconds
from scripts.gpu_check.measuring import GIB, Size
from scripts.gpu_check.page_text import as_json, line, page
from scripts.gpu_check.part_process import PartResult, run_part
from scripts.gpu_check.parts import Part, all_parts

PACKAGES = ("transformers", "deepspeed", "peft", "flash_attn", "flash_attn_3", "kernels", "vllm")
LEAST_S = 5.0  # a part that has less time left is not begun


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parse(argv)
    if not torch.cuda.is_available() and arguments.shape != ["tiny"]:
        print("gpu_check: there is no GPU here, so nothing was measured; --shape tiny runs on the CPU", file=sys.stderr)
        return 1
    arguments.folder.mkdir(parents=True, exist_ok=True)
    (arguments.folder / "log.txt").unlink(missing_ok=True)
    machine = describe_machine()
    print(", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
    outcomes: list[PartResult] = []
    end = time.monotonic() + arguments.seconds
    for part in all_parts(sizes(arguments)):
        if any(word in part.name for word in arguments.part) or not arguments.part:
            outcomes.append(run_or_say(part, arguments.folder, end - time.monotonic()))
            print(line(outcomes[-1]), flush=True)
            write(arguments.folder, machine, outcomes)
    print(f"written to {arguments.folder}/gpu_check.json, gpu_check.md; what the parts printed: log.txt")
    return 0 if outcomes and all(outcome.good for outcome in outcomes) else 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu_check", description="Check numbers and speed on a GPU.")
    parser.add_argument("--shape", nargs="+", default=["qwen3_0_6b", "qwen3_1_7b"], help="presets of conf/model")
    parser.add_argument("--tokens", type=positive_int, default=None, help="of a micro-batch; 8192, tiny: 512")
    parser.add_argument("--length", type=positive_int, nargs="+", default=None, help="tokens of a sequence; 2048 8192")
    parser.add_argument("--updates", type=positive_int, default=3, help="timed ones, after one to warm up")
    parser.add_argument("--part", nargs="+", default=[], help="only parts with one of these words in their name")
    parser.add_argument("--seconds", type=positive_seconds, default=590.0, help="of all parts together")
    parser.add_argument("--folder", type=Path, default=Path("outputs/gpu_check"), help="where it writes")
    return parser.parse_args(argv)


def sizes(arguments: argparse.Namespace) -> list[Size]:
    small = arguments.shape == ["tiny"]
    tokens = arguments.tokens or (512 if small else 8192)
    lengths = tuple(arguments.length or ((128,) if small else (2048, 8192)))
    return [Size(shape, tokens, lengths, arguments.updates, 96 if small else 1024) for shape in arguments.shape]


def run_or_say(part: Part, folder: Path, left: float) -> PartResult:
    """Run a part, or say why it cannot."""
    if part.missing:
        return PartResult(part.name, "not run", reason=f"not installed: {', '.join(part.missing)}")
    if left < LEAST_S:
        return PartResult(part.name, "not run", reason="no time was left")
    return run_part(part, folder, min(part.seconds, left))


def describe_machine() -> dict[str, Any]:
    found: dict[str, Any] = {"device": "CPU", "began": time.strftime("%Y-%m-%d %H:%M:%S"), "torch": torch.__version__}
    if torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory / GIB
        found["device"] = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}, {total:.1f} GiB"
        found["CUDA"] = torch.version.cuda
    distributions = packages_distributions()
    for package in PACKAGES:
        found[package] = version(distributions[package][0]) if package in distributions else "not installed"
    return {**found, "python": platform.python_version()}


def write(folder: Path, machine: dict[str, Any], outcomes: Sequence[PartResult]) -> None:
    """Write both files anew after every part, so that they are there whatever ends the check."""
    (folder / "gpu_check.json").write_text(json.dumps(as_json(machine, outcomes), indent=1) + "\n")
    (folder / "gpu_check.md").write_text(page(machine, outcomes))


if __name__ == "__main__":
    sys.exit(main())
