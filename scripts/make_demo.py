#!/usr/bin/env python3
"""Make what comes with the repository for the demo: the base, a finished report and their checksums.

python scripts/make_demo.py              # docs/demo anew: experiment=demo_base, then experiment=demo on it
python scripts/make_demo.py --check      # exit code 1 where a file of docs/demo is not the one that was made
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "docs" / "demo"
SUMS = "SHA256SUMS"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare the files with their checksums")
    if parser.parse_args(arguments).check:
        for line in (wrong := different(DEMO)):
            print(line, file=sys.stderr)
        return 1 if wrong else 0
    with TemporaryDirectory() as outputs:
        make(Path(outputs))
    print(f"{DEMO.relative_to(ROOT)}: {sum(path.stat().st_size for path in files(DEMO)) / 1e6:.1f} MB")
    return 0


def make(outputs: Path) -> None:
    """Train the base, run the demo on it, and keep its report."""
    make_base(DEMO / "base", outputs)
    mentor("experiment=demo", outputs=outputs)
    shutil.copy(outputs / "demo" / "report" / "report.html", DEMO / "report.html")
    (DEMO / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sums(DEMO).items()))


def make_base(folder: Path, outputs: Path) -> None:
    mentor("experiment=demo_base", outputs=outputs)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(outputs / "demo_base" / "pretrain-s0" / "model", folder)


def mentor(*words: str, outputs: Path) -> None:
    subprocess.run([sys.executable, "-m", "mentor.cli", *words, f"paths.outputs={outputs}"], check=True, cwd=ROOT)


def files(demo: Path) -> list[Path]:
    return sorted(path for path in demo.rglob("*") if path.is_file() and path.name != SUMS)


def sums(demo: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by its name in `demo`."""
    return {path.relative_to(demo).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files(demo)}


def different(demo: Path) -> list[str]:
    """Name the files that are not those of the checksums, one line each."""
    stored = dict(reversed(line.split("  ", 1)) for line in (demo / SUMS).read_text().splitlines())
    found = sums(demo)
    return [
        f"docs/demo/{name}: {'missing' if name not in found else 'not listed' if name not in stored else 'changed'}"
        for name in sorted(stored.keys() | found.keys())
        if stored.get(name) != found.get(name)
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
