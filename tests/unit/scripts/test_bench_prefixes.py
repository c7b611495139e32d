import re

from scripts.bench_prefixes import main


def test_both_ways_are_measured_and_their_gradients_compared(capsys):
    sizes = ["--prompts", "24", "40", "--answers", "8", "--groups", "2", "--group-size", "3", "--rounds", "1"]
    assert main([*sizes, "--micro-batch-tokens", "500", "--threads", "1", "--layers", "2", "--checkpointing"]) == 0
    title, head, *rows, _, remark = capsys.readouterr().out.strip().splitlines()
    assert title == "tiny, 2 layers, float32, 1 thread(s), layers computed again" and "apart, s" in head
    for row, prompt in zip(rows, (24, 40), strict=True):
        asked, size, tokens, computed, *measured = (float(cell.replace(",", "")) for cell in row.split())
        assert (asked, size, computed) == (prompt, 500, tokens - 4 * prompt) and len(measured) == 5
    assert float(re.search(r"at most (\S+) of their norm", remark)[1]) < 1e-6
