"""The JSON and the page of a check."""

import json

from scripts.gpu_check.measuring import Figure
from scripts.gpu_check.page_text import as_json, line, page
from scripts.gpu_check.part_process import PartResult

MACHINE = {"device": "CPU"}
OUTCOMES = [
    PartResult("speed", "ok", 2.34, figures=[Figure("update", 12345.6, "tokens/s")], remarks=["no MFU"]),
    PartResult(
        "numbers", "off limits", 1.0, figures=[Figure("ratio", 1.2, "", 0.85, 1.15), Figure("kl", 0.1, "", high=1)]
    ),
    PartResult("vLLM", "not run", reason="not installed: vllm"),
]


def test_a_page_by_hand():
    text = page(MACHINE, OUTCOMES)
    for expected in (
        "- device: CPU\n",
        "| speed | ok | 2 |  |\n",
        "| vLLM | not run | 0 | not installed: vllm |\n",
        "| update | 12,346 tokens/s |  |  |\n\n- no MFU\n",
        "| ratio | 1.2  | 0.85 to 1.15 | **off** |\n",
        "| kl | 0.1  | up to 1 |  |\n",
    ):
        assert expected in text, expected
    assert "## vLLM" not in text and text.endswith("\n")


def test_the_json_holds_every_figure_and_whether_it_is_within_its_limits():
    found = json.loads(json.dumps(as_json(MACHINE, OUTCOMES)))
    assert [part["status"] for part in found["parts"]] == ["ok", "off limits", "not run"]
    assert [figure["ok"] for figure in found["parts"][1]["figures"]] == [False, True]


def test_a_line_names_what_is_off():
    assert line(OUTCOMES[0]).endswith("2.3 s  speed")
    assert line(OUTCOMES[1]).endswith("numbers: ratio 1.2") and "not installed: vllm" in line(OUTCOMES[2])
