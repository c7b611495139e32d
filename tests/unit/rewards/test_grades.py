"""Missing grades are counted, and the first of each kind is reported."""

from mentor.rewards.grades import Missing, MissingGrades


def test_the_first_of_each_kind_is_reported_and_all_are_counted():
    lines: list[str] = []
    missing = MissingGrades(lines.append)
    for kind in ("timeout", "timeout", "crash"):
        missing.note("brief", Missing(f"b.py:f on task t0 {kind}", kind))
    missing.note("tone", Missing("no answer", "timeout"))
    assert lines == [
        "no grade for brief: b.py:f on task t0 timeout; further ones of this kind are counted",
        "no grade for brief: b.py:f on task t0 crash; further ones of this kind are counted",
        "no grade for tone: no answer; further ones of this kind are counted",
    ]
    assert missing.counts == {"brief": 3, "tone": 1}
