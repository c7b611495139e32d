import re

from scripts.bench_prefixes import main


def test_both_ways_are_measured_and_their_gradients_compared(capsys):
    sizes = ["--prompts", "24", "40", "--answers", "8", "--groups", "2", "--group-size", "3", "--rounds", "1"]
    assert main([*sizes, "--threads", "1", "--checkpointing"]) == 0
    title, head, *rows, _, remark = capsys.readouterr().out.strip().splitlines()
    assert title == "tiny, float32, 1 thread(s), 2,048 tokens a pass, layers computed again" and "apart, s" in head
    for row, prompt in zip(rows, (24, 40), strict=True):
        asked, members, tokens, computed, *measured = (float(cell.replace(",", "")) for cell in row.split())
        assert (asked, members, computed) == (prompt, 6, tokens - 4 * prompt) and len(measured) == 5
    assert float(re.search(r"at most (\S+) of their norm", remark)[1]) < 1e-6
