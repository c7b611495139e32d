import json
from pathlib import Path

import pytest

from scripts import demo_summary


def row(method: str, split: str, domain: str, accuracy: float, setting: str = "sampled") -> dict[str, object]:
    return {
        "method": method,
        "split": split,
        "domain": domain,
        "accuracy": accuracy,
        "setting": setting,
        "base": "base",
    }


METHODS = [
    row("base", "test", "id", 0.33),
    row("base", "long", "ood", 0.01),
    row("base", "combo", "ood", 0.25),
    row("rl-flexible", "test", "id", 0.664),
    row("rl-flexible", "long", "ood", 0.1),
    row("rl-flexible", "combo", "ood", 0.6),
    row("rl-flexible", "combo", "ood", 0.9, "greedy"),
    row("rl-flexible", "other", "unknown", 0.9),
]


def test_three_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "demo" / "report").mkdir(parents=True)
    (tmp_path / "demo" / "report" / "results.json").write_text(json.dumps({"methods": METHODS}))
    assert demo_summary.main(["--run", str(tmp_path / "demo")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "improved: in domain base 33 %, rl-flexible 66 %; "
        "out of domain base 13 %, rl-flexible 35 % (sampled, one seed)",
        f"the report: {tmp_path}/demo/report/report.html",
        "talk to the student: .venv/bin/mentor stage=chat run=demo",
    ]


def test_a_run_without_a_report(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"results\.json is not there"):
        demo_summary.main(["--run", str(tmp_path)])
