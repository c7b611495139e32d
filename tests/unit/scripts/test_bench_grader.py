"""The workloads of the grader's benchmark."""

import gzip
import json
from itertools import islice

from mentor.rewards.answers import compare
from scripts.bench_grader import FORMS, answer_pairs, form_pairs, main, read_answers, take


def test_answers_in_latex_are_read_once(tmp_path):
    rows = [{"answer": r"\sqrt{2}"}, {"answer": r"$\boxed{\sqrt{2}}$"}, {"answer": 7}, {"solution": r"So \boxed{x^2}."}]
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    assert read_answers([path]) == [r"\sqrt{2}", "x^2"]


def test_no_prediction_comes_twice():
    for pairs in (answer_pairs([r"\sqrt{2}+x", r"\frac{1}{2}"]), form_pairs()):
        taken = take(islice(pairs, 500), 100)
        assert len({prediction for prediction, _ in taken}) == len(taken)


def test_every_form_equals_its_other_form():
    for form in FORMS:
        accepted, prediction = form(12, 5, 7, 3)
        assert compare(prediction, accepted) is not False, prediction


def test_the_command(tmp_path, capsys):
    program, rows = tmp_path / "released.py", tmp_path / "rows.jsonl"
    program.write_text("def judge(prediction, golds):\n    return prediction == golds[0]\n")
    rows.write_text(json.dumps({"answer": r"2\sqrt{3}"}) + "\n")
    assert main([str(program), str(rows), "--pairs", "6", "--warm", "1", "--rounds", "2"]) == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()[2:4]]
    assert [row[0] for row in rows] == ["answers", "forms"] and all(float(row[-1]) > 0 for row in rows)
