"""The page: escaped texts, lines to choose, origins of numbers."""

import json
import re

from mentor.reporting.page.chapters import chapters_of
from mentor.reporting.page.html import to_html
from mentor.reporting.read.records import Curve, Origin, Report
from tests.fixtures.report_records import make_result, make_stage


def page(trajectories: str | None, **changes) -> str:
    folders = ("rl-x-s0", "rl-x-s1")
    report = Report(
        "A <title>",
        "demo",
        [make_stage(folder) for folder in folders],
        [make_result("rl-x-s0", folder="eval/rl-x-s0/b")],
        [Curve(folder, "reward/mean", [1], [0.5]) for folder in folders],
        origins={"eval/rl-x-s0/b": [Origin("The model", "rl-x-s0")]},
    )
    return to_html(report, chapters_of(report, []), ["a <caveat>"], ["a & b"], trajectories, "None are shown.")


def data(html: str, name: str) -> dict:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html)
    assert found
    return json.loads(found[1])


def test_texts_are_escaped_and_styles_and_scripts_are_inside() -> None:
    html = page(None)
    assert "<h1>A &lt;title&gt;</h1>" in html and "<li>a &lt;caveat&gt;</li>" in html and "<li>a &amp; b</li>" in html
    assert "function startTrajectories()" in html and "prefers-color-scheme: dark" in html
    assert 'id="trajectories-data"' not in html and "None are shown." in html


def test_a_number_leads_to_what_it_comes_from() -> None:
    origins = data(page(None), "origins-data")
    assert origins["origins"] == {"eval/rl-x-s0/b": [{"role": "The model", "folder": "rl-x-s0"}]}
    assert origins["folders"]["rl-x-s1"]["config hash"] == "c0ffee"
    assert origins["folders"]["rl-x-s1"]["packages"] == "torch 2.13.0"


def test_trajectories_are_embedded() -> None:
    assert data(page('{"entries":[]}'), "trajectories-data") == {"entries": []}
