from mentor.chat.syntax import SYNTAXES
from scripts.bench_calls import main


def test_every_syntax_is_measured(capsys):
    assert main(["--turns", "2", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [syntax.name for syntax in SYNTAXES]
    assert all(line.endswith("s for 2 turns") for line in lines)
