from mentor.chat.syntax import SYNTAXES
from scripts.bench_calls import main


def test_every_syntax_is_measured(capsys):
    assert main(["--turns", "2", "--rounds", "1"]) == 0
    title, head, *rows = capsys.readouterr().out.strip().splitlines()
    assert title == "Reading 2 turns" and head.split() == ["syntax", "seconds"]
    assert [row.split()[0] for row in rows] == [syntax.name for syntax in SYNTAXES]
