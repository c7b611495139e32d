"""Answers per second of the project's grader, beside the released scoring's library work in one run.

    python scripts/bench_grader.py shared/bench/released_scoring.py shared/data/math/math500.jsonl [more.jsonl.gz ...]
        [--pairs 2000] [--warm 1000] [--rounds 3] [--json PATH]

The first argument is a Python file with `judge(prediction, ground_truths) -> bool`, called in this process. The others
are JSONL files whose rows have `answer`, `final_answer` or a box in `solution`. No answer comes twice, so that no cache
helps; the first ones warm up the tables of math-verify's parser on both sides. Rounds alternate, so that a loaded
machine loads both, and each has other pairs; the ratio is of medians. Workloads:

- `answers`: the LaTeX answers of the files, beside themselves in another spelling, with another number, or another one;
- `forms`: generated roots, fractions, polynomials, intervals, sets and units, equal in another form or wrong.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import logging
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mentor.rewards.boxed import extract_boxed
from mentor.rewards.correctness import Grader
from scripts.arguments import positive_int
from scripts.benchmark_record import BenchmarkTable, add_json_option, report

Pair = tuple[str, str]  # prediction, accepted answer


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("released", type=Path, help="the Python file to compare with")
    parser.add_argument("files", type=Path, nargs="+", help="JSONL rows with answers")
    parser.add_argument("--pairs", type=positive_int, default=2000, help="of each workload, in all rounds together")
    parser.add_argument("--warm", type=positive_int, default=1000, help="of each workload, first and not measured")
    parser.add_argument("--rounds", type=positive_int, default=3)
    add_json_option(parser)
    settings = parser.parse_args(arguments)
    judge = load_judge(settings.released)
    workloads = {
        "answers": take(answer_pairs(read_answers(settings.files)), settings.warm + settings.pairs),
        "forms": take(form_pairs(), settings.warm + settings.pairs),
    }
    rows: list[tuple[str, int, float, float, float]] = []
    with Grader() as grader:
        for name, pairs in workloads.items():
            released, own = [], []
            warm, pairs = pairs[: settings.warm], pairs[settings.warm :]
            rate(lambda given, wanted: judge(given, [wanted]), warm)
            rate(lambda given, wanted: grader.grade(given, [wanted]), warm)
            for start in range(settings.rounds):
                part = pairs[start :: settings.rounds]
                released.append(rate(lambda given, wanted: judge(given, [wanted]), part))
                own.append(rate(lambda given, wanted: grader.grade(given, [wanted]), part))
            theirs, ours = statistics.median(released), statistics.median(own)
            rows.append((name, len(pairs), theirs, ours, ours / theirs))
    columns = "answers", "pairs", "released, a second", "project, a second", "ratio"
    report([BenchmarkTable("Grading", columns, rows)], settings.json)
    return 0


def rate(grade: Callable[[str, str], Any], pairs: list[Pair]) -> float:
    """Measure pairs per second."""
    start = time.perf_counter()
    for prediction, accepted in pairs:
        grade(prediction, accepted)
    return len(pairs) / (time.perf_counter() - start)


def load_judge(program: Path) -> Callable[[str, list[str]], bool]:
    spec = importlib.util.spec_from_file_location("released_scoring", program)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{program} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.judge


def take(pairs: Iterable[Pair], count: int) -> list[Pair]:
    """Keep the first pairs whose prediction was not there before."""
    kept: dict[str, Pair] = {}
    for pair in pairs:
        kept.setdefault(pair[0], pair)
        if len(kept) == count:
            break
    return list(kept.values())


def read_answers(files: list[Path]) -> list[str]:
    """Return the different answers that are written in LaTeX."""
    answers: dict[str, None] = {}
    for path in files:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for row in map(json.loads, text.decode().splitlines()):
            answer = row.get("answer", row.get("final_answer")) or extract_boxed(row.get("solution", ""))
            answers.update(dict.fromkeys(map(str, answer if isinstance(answer, list) else [answer])))
    bare = dict.fromkeys(extract_boxed(answer) or answer for answer in answers)
    return [answer for answer in bare if re.search(r"[\\^]", answer)]


def answer_pairs(answers: list[str]) -> Iterator[Pair]:
    """Each answer in another spelling, with another number, and another answer in its place; then again."""
    rng = random.Random(0)
    rng.shuffle(answers)
    for _ in range(20):
        for position, accepted in enumerate(answers):
            bare = accepted.strip("$ ")
            yield respelt(bare, rng), accepted
            yield re.sub(r"\d+", lambda found: str(int(found[0]) + rng.randint(1, 99)), bare, count=1), accepted
            yield respelt(answers[position - 1].strip("$ "), rng), accepted


def respelt(answer: str, rng: random.Random) -> str:
    """The same mathematics with other commands and spaces, or with its outermost sum turned round."""
    if rng.random() < 0.3 and (sides := re.fullmatch(r"([^-+=,(){}\[\]]+?)\s*\+\s*([^-+=,(){}\[\]]+)", answer)):
        return f"{sides[2]} + {sides[1]}"
    answer = answer.replace("\\frac", rng.choice(("\\dfrac", "\\tfrac", "\\frac")))
    answer = re.sub(r"\s*([-+=,])\s*", rng.choice((r" \1 ", r"\1", r"\,\1\,")), answer)
    return re.sub(r"\\sqrt\{", rng.choice((r"\\sqrt {", r"\\sqrt{", r"\\sqrt{ ")), answer)


def form_pairs() -> Iterator[Pair]:
    """Pairs of equal or, half as often, unequal forms, of all kinds in turn."""
    rng = random.Random(1)
    while True:
        for form in FORMS:
            a, b, c, n = rng.randint(2, 60), rng.randint(2, 40), rng.randint(2, 30), rng.choice((2, 3, 5, 6, 7, 10, 11))
            accepted, prediction = form(a, b, c, n)
            if rng.random() < 1 / 3:
                prediction = re.sub(r"\d+", lambda found: str(int(found[0]) + rng.randint(1, 9)), prediction, count=1)
            yield prediction, accepted


FORMS: tuple[Callable[[int, int, int, int], Pair], ...] = (
    lambda a, b, c, n: (rf"{a}\sqrt{{{n}}}", rf"\sqrt{{{a * a * n}}}"),
    lambda a, b, c, n: (rf"\frac{{{a}\sqrt{{{n}}}}}{{{b}}}", rf"\dfrac{{{a * n}}}{{{b}\sqrt{{{n}}}}}"),
    lambda a, b, c, n: (
        rf"\frac{{{a}+{b}\sqrt{{{n}}}}}{{{c}}}",
        rf"\frac{{{a}}}{{{c}}}+\frac{{{b}}}{{{c}}}\sqrt{{{n}}}",
    ),
    lambda a, b, c, n: (rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{a}}}{{{b}}}\pi"),
    lambda a, b, c, n: (rf"\frac{{{a}}}{{{b}}}", rf"\frac{{{a * c}}}{{{b * c}}} \cdot 1"),
    lambda a, b, c, n: (rf"{a}x^2+{b}x-{c}", rf"-{c} + {b}x + {a}x^{{2}}"),
    lambda a, b, c, n: (rf"(x+{a})(x-{b})", rf"x^2 + {a - b}x - {a * b}".replace("+ -", "- ")),
    lambda a, b, c, n: (rf"\frac{{x+{a}}}{{{b}}}", rf"\frac{{x}}{{{b}}}+\frac{{{a}}}{{{b}}}"),
    lambda a, b, c, n: (rf"\left({a},\frac{{{b}}}{{{c}}}\right)", rf"({a}, {b}/{c})"),
    lambda a, b, c, n: (rf"[{a}, {a + b}\sqrt{{{n}}})", rf"\left[{a},\sqrt{{{(a + b) ** 2 * n}}}\right)"),
    lambda a, b, c, n: (
        rf"(-\infty,{a})\cup({a + b},\infty)",
        rf"\left(-\infty, {a}\right) \cup \left({a + b}, \infty\right)",
    ),
    lambda a, b, c, n: (
        rf"\{{{a}, {a + b}, \frac{{{c}}}{{{n}}}\}}",
        rf"\left\{{\frac{{{c}}}{{{n}}},{a + b},{a}\right\}}",
    ),
    lambda a, b, c, n: (rf"{a}\sqrt{{{n}}}\text{{ cm}}", rf"\sqrt{{{a * a * n}}} \mathrm{{cm}}"),
    lambda a, b, c, n: (rf"x={a}+\sqrt{{{n}}}", rf"x=\sqrt{{{n}}}+{a}"),
    lambda a, b, c, n: (rf"{a}^{{{n}}}-{b}", rf"-{b}+{a}^{{{n}}}"),
    lambda a, b, c, n: (rf"\frac{{{a}\sqrt[3]{{{n}}}}}{{{b}}}", rf"\frac{{{a}}}{{{b}}}\cdot {n}^{{1/3}}"),
    lambda a, b, c, n: (rf"{a}+{b}i", rf"{b}i+{a}"),
    lambda a, b, c, n: (rf"\frac{{{a}}}{{x+{b}}}", rf"\frac{{{a * c}}}{{{c}x+{b * c}}}"),
    lambda a, b, c, n: (rf"\log_{{{n}}} {a}", rf"\frac{{\ln {a}}}{{\ln {n}}}"),
    lambda a, b, c, n: (rf"\begin{{pmatrix}} {a} \\ {b} \end{{pmatrix}}", rf"\begin{{pmatrix}}{a}\\{b}\end{{pmatrix}}"),
)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # math-verify warns of every answer that it cannot read
    sys.exit(main(sys.argv[1:]))
