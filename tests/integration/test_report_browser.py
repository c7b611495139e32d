"""The report's page in headless Chromium: it opens offline and fast, and every control works by mouse and by keys."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.support.select import Select

from mentor.chat import ChatFormat
from mentor.reporting import collect, draw, gather, write_report
from mentor.types import CallError, CallRecord, StopReason, Task, Tokens, ToolCall, Trajectory
from tests.fixtures.chromium import Page, open_chromium
from tests.fixtures.run_folder import (
    evaluation_record,
    make_row,
    training_record,
    write_eval,
    write_lines,
    write_stage,
)

pytestmark = pytest.mark.slow

HOSTILE = (
    "</script><script>alert(1)</script> <!-- <img src=x onerror=alert(2)> {{ 7 * 7 }} ${x} &lt; "
    "\u202eright to left\u202c שלום 👩‍🔬 " + "a" * 3000
)
SHOWN_LIMIT_MS = 2000  # the page promises 2,000 trajectories in two seconds: a hard limit, so a time in a test
WATCH = """
const watch = () => {
  if (document.querySelector("#trajectory .sides") === null) requestAnimationFrame(watch);
  else window.shownAt = performance.now();
};
requestAnimationFrame(watch);
"""


def make_trajectory(chat: ChatFormat, tools: str, number: int, question: str | None = None) -> Trajectory:
    """A sum by one call, then the answer; every third is wrong, every fifth ends in a malformed call."""
    a, b = 10 + number, 3 + number % 7
    question = question or f"What is {a} plus {b}?"
    task = Task(f"sum-{number}", question, (str(a + b),), "calculator", "train", (ToolCall("add", {"a": a, "b": b}),))
    call = {"id": "call_0", "type": "function", "function": {"name": "add", "arguments": {"a": a, "b": b}}}
    answer = a + b + (number % 3 == 0)
    said = f"The answer is \\boxed{{{answer}}}. " + (question if question == HOSTILE else "")
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0", "name": "add", "content": str(a + b)},
        {"role": "assistant", "content": said},
    ]
    calls = [CallRecord(0, "add", {"a": a, "b": b}, True)]
    stop = StopReason.ANSWERED
    if number % 5 == 0:
        reply = {"role": "tool", "tool_call_id": "call_1", "name": "", "content": "Error: the call is not valid JSON."}
        messages = [*messages[:3], {"role": "assistant", "content": "<tool_call>{broken</tool_call>"}, reply]
        calls.append(CallRecord(1, None, {}, False, CallError.MALFORMED))
        stop = StopReason.INVALID_CALLS
    trajectory = Trajectory(task, messages, tools, stop, calls)
    return replace(trajectory, tokens=rendered(chat, trajectory))


def rendered(chat: ChatFormat, trajectory: Trajectory) -> Tokens:
    """The tokens as RL would store them, up to the last assistant turn."""
    end = max(place for place, message in enumerate(trajectory.messages) if message["role"] == "assistant")
    return chat.render(replace(trajectory, messages=trajectory.messages[: end + 1]))


def write_run(root: Path, chat: ChatFormat, tools: str) -> None:
    """Two RL stages of 10 steps of 72 trajectories, three models by two splits by two modes by 110: 2,760 in all."""
    made = [make_trajectory(chat, tools, number) for number in range(120)]
    hostile = make_trajectory(chat, tools, 121, HOSTILE)
    write_stage(root, "pretrain-s0", "pretrain")
    write_stage(root, "rollout", "rollout")
    write_lines(root / "rollout/trajectories.jsonl", [replace(t, tokens=None).to_dict() for t in [*made, hostile]])
    for name in ("rl-sparse-s0", "rl-flexible-s0"):
        write_stage(root, name, "rl", base="pretrain-s0/model")
        write_lines(root / name / "metrics.jsonl", [{"step": n, "reward/mean": n / 10} for n in range(1, 11)])
        records = [
            training_record(hostile if (step, n) == (1, 0) else made[(7 * step + n) % len(made)], step)
            for step in range(1, 11)
            for n in range(72)
        ]
        write_lines(root / name / "trajectories/trajectories.jsonl", records)
        chat.tokenizer.save_pretrained(root / name / "model")
    splits = {"test": "id", "long": "ood"}
    for model in ("pretrain-s0", "rl-sparse-s0", "rl-flexible-s0"):
        cells = [(mode, split) for mode in ("greedy", "sampled") for split in splits]
        rows = [make_row(0.5, 0.4, 0.6, split=split, domain=splits[split], mode=mode) for mode, split in cells]
        folder = write_eval(root, model, *rows)
        items = [
            evaluation_record(replace(t, task=replace(t.task, id=f"{split}-{n}", split=split)), mode, n % 3 > 0)
            for mode, split in cells
            for n, t in enumerate(made[:110])
        ]
        write_lines(folder / "items.jsonl", items)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, chat, calculator_tools) -> Path:
    """The page of a run with 2,760 trajectories, of which it shows 2,000."""
    root = tmp_path_factory.mktemp("outputs") / "demo"
    write_run(root, chat, calculator_tools)
    collected = collect(root, "A report")
    write_report(collected, draw(collected), gather(root, 2000), root / "report")
    return root / "report" / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with open_chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        yield opened


@pytest.fixture
def page(browser: Chrome, report: Path) -> Iterator["Browsed"]:
    """The page freshly opened on a desktop screen in light colours; afterwards nothing may be in its console."""
    shown = Browsed(browser)
    shown.screen(1280, 900)
    browser.get("about:blank")  # else a fragment of the test before would be kept
    browser.get(report.as_uri())
    yield shown
    assert shown.console() == []


class Browsed(Page):
    """The trajectory browser, with the steps that its tests repeat."""

    def matches(self) -> int:
        """How many trajectories match, as the page says."""
        found = re.match(r"([\d,]+) of 2,000 trajectories match", self.text("matches"))
        assert found, self.text("matches")
        return int(found[1].replace(",", ""))

    def place(self) -> int:
        """The place of the trajectory that is shown, from 1, as the page says."""
        found = re.search(r"Number ([\d,]+) is shown", self.text("matches"))
        assert found, self.text("matches")
        return int(found[1].replace(",", ""))

    def entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = json.loads(self.text("trajectories-data"))["entries"]
        return entries


def test_it_opens_fast_with_two_thousand_trajectories(page: Browsed, report: Path) -> None:
    assert report.stat().st_size < 15e6
    assert len(page.entries()) == 2000 == page.matches()
    assert "2,000 of 2,760 trajectories shown" in page("document.querySelector('#trajectories').innerText")
    assert page("document.querySelectorAll('#list li').length") == 20, "a page of the list at a time"
    page.browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert page("window.shownAt") < SHOWN_LIMIT_MS
    assert page("performance.getEntriesByType('resource').length") == 0, "nothing is fetched"


def test_hostile_texts_are_shown_as_they_are(page: Browsed) -> None:
    page.get("filter-text").send_keys("alert(1)")
    assert page.matches() == 2
    shown = page("document.getElementById('trajectory').textContent")
    assert shown.count(HOSTILE) == 3, "the question, the student's and the teacher's answer"
    assert page("document.querySelector('#list .text').textContent") == HOSTILE
    page.click(page.get("tokens"))
    pieces = page("document.querySelector('.tokens').textContent")
    assert "</script><script>alert(1)</script> <!-- <img" in pieces
    assert "‹f0›‹9f›" in pieces, "bytes of a split character"
    assert page("document.querySelectorAll('#trajectories img, #trajectories script').length") == 0


def test_filters_by_mouse(page: Browsed) -> None:
    entries = page.entries()
    for name, value in (
        ("source", "rl-sparse-s0, training"),
        ("group", "calculator/long"),
        ("mode", "greedy"),
        ("verdict", "wrong"),
        ("stop", "invalid_calls"),
    ):
        Select(page.get(f"filter-{name}")).select_by_visible_text(value)
        assert page.matches() == sum(entry[name] == value for entry in entries) > 0
        page.click(page.get("clear"))
        page.browser.execute_async_script("setTimeout(arguments[0], 0)")
        assert page.matches() == 2000 and page.get(f"filter-{name}").get_property("value") == ""


def test_filters_by_keys(page: Browsed) -> None:
    entries = page.entries()
    for name in ("source", "group", "mode", "verdict", "stop"):
        page.tab_to(f"filter-{name}")
        page.press(Keys.ARROW_DOWN)
        value = page.get(f"filter-{name}").get_property("value")
        assert value and page.matches() == sum(entry[name] == value for entry in entries) > 0
        page.press(Keys.HOME)
        assert page.matches() == 2000
    page.tab_to("filter-text")
    page.press(*"WHAT IS 17 PLUS")
    assert 0 < page.matches() < 100 and "What is 17 plus 3?" in page.text("trajectory")
    page.tab_to("clear")
    page.press(Keys.ENTER)
    page.browser.execute_async_script("setTimeout(arguments[0], 0)")
    assert page.matches() == 2000


def test_filters_combine_and_an_empty_match_says_so(page: Browsed) -> None:
    Select(page.get("filter-source")).select_by_visible_text("rl-sparse-s0, training")
    Select(page.get("filter-group")).select_by_visible_text("step 3")
    assert page.matches() == sum(e["source"].startswith("rl-sparse") and e["group"] == "step 3" for e in page.entries())
    page.get("filter-text").send_keys("no such text anywhere")
    assert page.matches() == 0
    assert "No trajectory matches" in page.text("trajectory")
    assert page("document.querySelectorAll('#list li').length") == 0
    assert page.get("matches").get_attribute("aria-live") == "polite"
    for id in ("previous", "next", "earlier", "later"):
        page.click(page.get(id))
    assert page.matches() == 0


def test_moving_through_the_list_by_mouse(page: Browsed) -> None:
    def selected() -> str:
        return str(page("document.querySelector('#list [aria-selected=true] .text').textContent"))

    page.click(page("document.querySelectorAll('#list li')[3]"))
    assert page.place() == 4 and selected() in page.text("trajectory")
    page.click(page.get("next"))
    assert page.place() == 5
    page.click(page.get("previous"))
    page.click(page.get("previous"))
    assert page.place() == 3 and selected() in page.text("trajectory")
    page.click(page.get("later"))
    assert page.place() == 23 and page.text("page") == "2 of 100"
    page.click(page.get("earlier"))
    page.click(page.get("earlier"))
    assert page.place() == 1 and page.text("page") == "1 of 100"
    assert page.get("previous").get_attribute("aria-disabled") == "true"
    assert page.get("next").get_attribute("aria-disabled") == "false"


def test_moving_through_the_list_by_keys(page: Browsed) -> None:
    page.tab_to("list")
    assert page("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is visible"
    for keys, place in (
        ([Keys.ARROW_DOWN] * 2, 3),
        ([Keys.ARROW_UP], 2),
        ([Keys.PAGE_DOWN], 22),
        ([Keys.PAGE_UP] * 2, 1),
        ([Keys.END], 2000),
        ([Keys.HOME], 1),
    ):
        page.press(*keys)
        assert page.place() == place and page.focused() == "list"
        active = page.get("list").get_attribute("aria-activedescendant")
        assert page.get(active).get_attribute("aria-selected") == "true"
    for id, place in (("next", 2), ("previous", 1)):
        page.browser.execute_script("document.getElementById('list').focus()")
        page.tab_to(id)
        page.press(Keys.SPACE)
        assert page.place() == place and page.focused() == id
    page.browser.execute_script("document.getElementById('clear').focus()")
    page.tab_to("later")
    page.press(Keys.ENTER)
    assert page.place() == 21
    page.browser.execute_script("document.getElementById('clear').focus()")
    page.tab_to("earlier")
    page.press(Keys.ENTER)
    assert page.place() == 1


@pytest.mark.parametrize("by", ["mouse", "keys"])
def test_tokens_are_shown_with_their_loss_mask(page: Browsed, by: str) -> None:
    if by == "mouse":
        page.click(page.get("tokens"))
    else:
        page.tab_to("tokens")
        page.press(Keys.SPACE)
    assert page.get("tokens").get_attribute("aria-pressed") == "true"
    page.click(page("document.querySelectorAll('#list li')[1]"))
    entry = page.entries()[1]
    assert page("[...document.querySelectorAll('.tokens mark')].map((e) => e.textContent).join('')").startswith(
        '<tool_call>⏎\n{"name": "add"'
    )
    total, trained = (int(n) for n in re.findall(r"(\d+) tokens, (\d+)", page.text("trajectory"))[0])
    assert total == page("document.querySelectorAll('.tokens > *').length") == sum(entry["tokens"]["runs"])
    assert trained == page("document.querySelectorAll('.tokens mark').length") == sum(entry["tokens"]["runs"][1::2])
    context = "getComputedStyle(document.querySelector('.tokens span')).borderBottomStyle"
    assert page("getComputedStyle(document.querySelector('.tokens mark')).borderBottomStyle") == "solid"
    assert page(context) == "none", "told apart by more than colour"
    assert "in the loss mask" in page("document.querySelector('.legend').textContent")
    if by == "mouse":
        page.click(page.get("tokens"))
    else:
        page.tab_to("tokens")
        page.press(Keys.ENTER)
    assert page("document.querySelector('.tokens')") is None and "Turn 1" in page.text("trajectory")


def test_a_training_trajectory_shows_its_reward_beside_the_teacher(page: Browsed) -> None:
    page.get("filter-text").send_keys("What is 25 plus")
    Select(page.get("filter-source")).select_by_visible_text("rl-flexible-s0, training")
    rows = page("[...document.querySelectorAll('.reward tr')].map((row) => row.innerText)")
    assert [row.split() for row in rows[1:]] == [
        ["correct", "1", "0.6", "0.2"],
        ["match", "0.5", "0.15", "0.03"],
        ["valid", "0.5", "0.05", "0.02"],
        ["total", "0.8", "0.25"],
    ]
    student, teacher = page("[...document.querySelectorAll('.sides > section')].map((side) => side.innerText)")
    assert "malformed" in student and "not valid JSON" in student and "<tool_call>{broken" in student
    assert "Turn 1, advantage 0.25" in student and "advantage" not in teacher
    assert 'add {"a": 25, "b": 4}' in teacher
    assert "Advantage 0.25; answers of its group: mixed." in page.text("trajectory")


def test_a_source_without_tokenizer_shows_ids(page: Browsed) -> None:
    Select(page.get("filter-source")).select_by_visible_text("pretrain-s0, evaluation")
    page.click(page.get("tokens"))
    assert "No tokenizer.json was found" in page.text("trajectory")
    assert re.fullmatch(r"(\d+ )+", page("document.querySelector('.tokens').textContent"))


def test_every_number_says_where_it_comes_from(page: Browsed) -> None:
    numbers = page.browser.find_elements("css selector", "#results td")
    assert numbers and all(cell.find_element("css selector", "button.number") for cell in numbers)
    button = page.browser.find_elements("css selector", "#results button.number")[1]
    page.click(button)
    dialog = page.get("origin")
    assert dialog.is_displayed()
    for text in ("hash-eval-rl-flexible-s0", "hash-rl-flexible-s0", "Trained from: pretrain-s0", "hash-rollout"):
        assert text in dialog.text
    assert "torch 2.13.0" in dialog.text and "0123456789ab-dirty" in dialog.text
    page.press(Keys.ESCAPE)
    assert not dialog.is_displayed()
    assert page.browser.switch_to.active_element == button
    page.click(button)
    page.click(page.get("origin-close"))
    assert not dialog.is_displayed() and page.browser.switch_to.active_element == button
    page.click(button)
    beside = ActionBuilder(page.browser)
    beside.pointer_action.move_to_location(20, 20).click()
    beside.perform()
    assert not dialog.is_displayed(), "a press beside the dialog closes it"


def test_the_dialog_by_keys(page: Browsed) -> None:
    while page("document.activeElement.className") != "number":
        page.press(Keys.TAB)
    button = page.browser.switch_to.active_element
    for close in ([Keys.ESCAPE], [Keys.ENTER]):
        page.press(Keys.ENTER)
        assert page.get("origin").is_displayed() and page.focused() == "origin-close"
        page.press(*close)
        assert not page.get("origin").is_displayed()
        assert page.browser.switch_to.active_element == button


def test_links_lead_to_the_provenance(page: Browsed) -> None:
    link = page.browser.find_element("css selector", "#cost a[href]")
    page.click(link)
    assert page("document.querySelector('tr:target th').textContent") == link.text
    for href in page("[...document.querySelectorAll('a')].map((link) => link.getAttribute('href'))"):
        assert href.startswith("#") and page.get(href[1:])


def test_folds_open_by_mouse_and_keys(page: Browsed) -> None:
    fold = page.browser.find_element("css selector", "#details details")
    summary = fold.find_element("tag name", "summary")
    page.click(summary)
    assert fold.get_property("open") and fold.find_element("tag name", "table").is_displayed()
    page.press(Keys.ENTER)
    assert not fold.get_property("open")


def test_a_phone_has_no_page_to_scroll_sideways(page: Browsed) -> None:
    page.screen(390, 844)
    page.browser.execute_script("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    page.get("filter-text").send_keys("alert(1)")
    for _ in range(2):
        assert page("document.documentElement.scrollWidth") == 390
        page.click(page.get("tokens"))
    tables = page("[...document.querySelectorAll('.scroll')].some((box) => box.scrollWidth > box.clientWidth)")
    assert tables, "wide tables scroll inside their own box"
    page.click(page.browser.find_element("css selector", "#results button.number"))
    assert page("document.getElementById('origin').scrollWidth <= document.documentElement.clientWidth")


def test_dark_mode_changes_the_page(page: Browsed) -> None:
    colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    light = page(colours)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
    assert page(colours) == ["rgb(22, 25, 29)", "rgb(228, 231, 234)"] and light[0] == "rgb(255, 255, 255)"
    assert page("getComputedStyle(document.querySelector('svg text')).fill") == "rgb(228, 231, 234)"
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
