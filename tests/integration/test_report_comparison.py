"""The report of six methods x three seeds x eight benchmarks: what it claims, and how it reads in headless Chromium."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from selenium.webdriver import Chrome
from selenium.webdriver.support.select import Select

from mentor.config import Config, LoggerConfig, ReportStage
from mentor.loggers import build_logger
from mentor.reporting.page.markdown import escape
from mentor.reporting.tables.differences import p_text
from mentor.reporting.tables.table import SIGNS
from mentor.runs.folder import RunFolder
from mentor.stages.report import run
from tests.fixtures.chromium import Page, open_chromium
from tests.fixtures.comparison_run import BENCHMARKS, SEEDS, SKILLS, write_comparison

pytestmark = pytest.mark.slow

TASKS = 60
LOADED_LIMIT_MS = 5000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report folder of the run, made by the stage."""
    root = tmp_path_factory.mktemp("outputs") / "compare"
    write_comparison(root, TASKS)
    report = RunFolder(path=root / "report", root=root)
    run(
        Config(stage=ReportStage(name="report")),
        report,
        build_logger(LoggerConfig(console=False, wandb="disabled"), None),
    )
    return report.path


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return values


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with open_chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(browser: Chrome, folder: Path) -> Iterator[Page]:
    shown = Page(browser)
    shown.screen(1280, 900)
    browser.get("about:blank")
    browser.get((folder / "report.html").as_uri())
    yield shown
    assert shown.console() == []


def read_scores(root: Path, method: str, benchmark: str) -> np.ndarray:
    """(seeds, TASKS) verdicts, read from the items again."""
    seeds = []
    for seed in SEEDS:
        lines = (root / "eval" / f"{method}-s{seed}" / benchmark / "items.jsonl").read_text().splitlines()
        items = [json.loads(line) for line in lines]
        seeds.append([float(item["correct"]) for item in sorted(items, key=lambda item: item["task"]["id"])])
    return np.array(seeds)


def test_every_two_methods_are_compared_on_every_benchmark(results: dict[str, Any]) -> None:
    pairs = results["pairs"]
    assert len(pairs) == 15 * len(BENCHMARKS) and {tuple(pair["seeds"]) for pair in pairs} == {(3, 3)}
    assert {pair["n"] for pair in pairs} == {TASKS} and all(pair["over_seeds"] for pair in pairs)
    assert len(results["results"]) == 18 * 8 and len(results["methods"]) == 6 * 8
    assert {m["base"] for m in results["methods"]} == {"pretrain"}


def test_the_paired_tests_agree_with_scipy(folder: Path, results: dict[str, Any]) -> None:
    """The part of the seeds is the t test over them; what they share of a question only widens it."""
    for pair in [pair for pair in results["pairs"] if pair["benchmark"] == "calculator"]:
        first, second = (read_scores(folder.parent, pair[side], pair["benchmark"]) for side in ("first", "second"))
        by_seed = (first - second).mean(axis=1)
        assert pair["by_seed"] == pytest.approx(by_seed) and pair["difference"] == pytest.approx(by_seed.mean())
        assert pair["p"] >= stats.ttest_1samp(by_seed, 0).pvalue - 1e-9
        assert (pair["low"] > 0 or pair["high"] < 0) == (pair["p"] < 0.05)
        assert (pair["low_holm"] > 0 or pair["high_holm"] < 0) == (pair["p_holm"] < 0.05)


def test_a_sure_difference_is_marked_and_an_unsure_one_is_not(page: Page, results: dict[str, Any]) -> None:
    conclusions = {(p["first"], p["second"], p["benchmark"]): p["conclusion"] for p in results["pairs"]}
    assert conclusions["rl-flexible", "pretrain", "gsm8k"].startswith("better")
    assert conclusions["rl-strict", "rl-sparse", "gsm8k"] == "not significant", "equally skilled"
    cells = {
        (row, column): (text, names)
        for row, column, text, names in page(
            """[...document.querySelectorAll('#differences .table')]
            .filter((t) => /in points/.test(t.querySelector('h3').textContent))
            .flatMap((t) => [...t.querySelectorAll('tbody tr')].flatMap((row) => [...row.cells].slice(1).map((cell) =>
            [row.cells[0].textContent, t.querySelectorAll('thead th')[cell.cellIndex].textContent, cell.innerText,
             cell.className])))"""
        )
    }
    text, names = cells["rl-flexible − pretrain", "gsm8k/test"]
    assert re.match(r"\+\d+\.\d \[.\d+\.\d, \+\d+\.\d\] [▲△]\s+p 0\.\d+", text) and "better" in names
    text, names = cells["rl-strict − rl-sparse", "gsm8k/test"]
    assert not set(SIGNS.values()) & set(text) and "not-significant" in names.split()
    shown = {(*row.split(" − "), column.split("/")[0]): text for (row, column), (text, _) in cells.items()}
    assert shown.keys() == conclusions.keys()
    assert all((SIGNS.get(conclusion, "]") in shown[key]) for key, conclusion in conclusions.items())


def test_the_tables_hold_methods_by_benchmarks(page: Page, results: dict[str, Any]) -> None:
    shapes = page(
        """[...document.querySelectorAll('#results table')].map((t) =>
        [t.tBodies[0].rows.length, t.tHead.rows[0].cells.length - 1])"""
    )
    assert shapes == [[len(SKILLS), 2], [len(SKILLS), 6]], "in and out of domain"
    numbers = page.browser.find_elements("css selector", "#results td")
    assert len(numbers) == 6 * 8 and all(cell.find_element("css selector", "button.number") for cell in numbers)
    against = [m["against_base"] for m in results["methods"]]
    for which in ("better", "better here"):
        cells = f"#results td.{which.replace(' ', '-')}"
        assert page("document.querySelectorAll(arguments[0]).length", cells) == against.count(which)
    assert sum(which is not None and which.startswith("better") for which in against) > 0
    page.click(numbers[-1].find_element("css selector", "button"))
    origin = page.get("origin").text
    assert all(f"This evaluation: eval/rl-strict-s{seed}/svamp" in origin for seed in SEEDS)
    page.click(page.get("origin-close"))
    matrix = page("document.querySelector('#differences table').innerText")
    assert re.search("[▲△] of 2", matrix) and "pretrain" in matrix
    tool_use = page("document.querySelector('#tool-use table').innerText")
    assert "argument_agreement" in tool_use and "rl-released_mentor" in tool_use
    cost = page("document.querySelector('#cost table').innerText").splitlines()
    assert next(line for line in cost if line.startswith("rl-flexible")).split("\t")[1:5] == [
        "3",
        "80",
        "480,000",
        "1,200,000",
    ]


def test_one_question_is_shown_across_models(page: Page) -> None:
    assert page("document.querySelectorAll('.across').length") == 0
    page.click(page.get("across"))
    heads = page("[...document.querySelectorAll('.across h3')].map((head) => head.textContent)")
    assert heads[-1] == "Teacher" and len(heads) > 3 and len(set(heads)) == len(heads)
    assert page.get("across").get_attribute("aria-pressed") == "true"
    page.click(page.get("across"))
    assert page("document.querySelectorAll('.across').length") == 0


def test_the_first_screen_is_a_sentence_and_a_picture(page: Page, results: dict[str, Any]) -> None:
    assert page("document.querySelector('#verdict .lead').textContent") == results["verdict"][0]
    bottom = page("document.querySelector('#verdict figure').getBoundingClientRect().bottom")
    assert bottom < 900, "of a screen of 1280 x 900"


def test_learning_curves_show_bands_or_chosen_lines(page: Page) -> None:
    def shown(name: str) -> bool:
        line = f"#curves .figures [data-line='{name}']"
        return bool(page("getComputedStyle(document.querySelector(arguments[0])).display !== 'none'", line))

    assert page("document.querySelectorAll(\"#curves [data-line='seed:rl-flexible-s1']\").length") >= 4
    assert shown("method:rl-flexible") and shown("method:rl-sparse") and not shown("seed:rl-flexible-s1")
    lines = Select(page.get("lines"))
    lines.select_by_visible_text("rl-flexible-s1 alone")
    assert shown("seed:rl-flexible-s1") and not shown("seed:rl-flexible-s0") and not shown("method:rl-flexible")
    lines.select_by_visible_text("rl-flexible: mean, band and every seed")
    assert shown("seed:rl-flexible-s0") and shown("method:rl-flexible") and not shown("method:rl-sparse")
    lines.select_by_visible_text("every method: mean and band")
    assert shown("method:rl-sparse") and not shown("seed:rl-flexible-s0")


def test_sweeps_are_drawn_and_listed(page: Page) -> None:
    figures = page("[...document.querySelectorAll('#sweeps figure')].map((f) => f.textContent)")
    line, heat = figures
    assert "reward/correct over reward.weights.tool and reward.weights.valid" in heat
    assert "0.425" in heat and "n = 2" in heat, "0.4 + 0.4 x 0.1 - 0.2 x 0.1 and half of 0.01"
    assert "✕ 2 failed" in heat and "✕ 1 failed" in heat and "n = 1" in heat
    assert "reward/correct over reward.weights.tool" in line
    tables = page("[...document.querySelectorAll('#sweeps table')].map((t) => t.textContent)")
    assert len(tables) == 6 and "GraderError" in "".join(tables)
    best = page("document.querySelectorAll('#sweeps table')[0].tBodies[0].rows[0].innerText").split()
    assert best == ["0.5", "3", "0", "0.5700", "0.5500", "0.5900"]


def test_it_is_one_small_file_that_opens_fast(page: Page, folder: Path) -> None:
    size = (folder / "report.html").stat().st_size
    loaded = page("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    print(f"report.html: {size / 1e6:.1f} MB, loaded in {loaded:.0f} ms")
    assert size < 15e6 and loaded < LOADED_LIMIT_MS
    assert page("performance.getEntriesByType('resource').length") == 0, "nothing is fetched"


def test_a_phone_has_no_page_to_scroll_sideways(page: Page) -> None:
    page.screen(390, 844)
    page.browser.execute_script("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    assert page("document.documentElement.scrollWidth") == 390
    head = "document.querySelector('#differences tbody th').getBoundingClientRect().width"
    assert page(head) < 0.45 * 390, "the name that stays in place leaves room for the numbers"


def test_the_other_forms_hold_the_same(folder: Path, results: dict[str, Any]) -> None:
    markdown = (folder / "report.md").read_text()
    assert len(re.findall(r"^\| rl-flexible − pretrain \|", markdown, re.MULTILINE)) == 2, "in and out of domain"
    pair = next(p for p in results["pairs"] if (p["first"], p["second"]) == ("rl-flexible", "pretrain"))
    cells = [p_text(pair["p_holm"]), p_text(pair["p_here_holm"]), pair["conclusion"]]
    assert f"| {' | '.join(map(escape, cells))} |" in markdown
    assert escape(results["verdict"][0]) in markdown
    assert (folder / "figures" / "sweep-2weights.png").is_file()
