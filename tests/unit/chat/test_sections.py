from mentor.chat.parsed import FoundCall, ParsedCall
from mentor.chat.sections import find_sections, placed

ONE, TWO = ParsedCall("one", {}), ParsedCall("two", {})


def test_each_mark_opens_a_section_up_to_the_next_mark():
    seen = []

    def read(text: str, start: int, body: int, limit: int) -> list[FoundCall]:
        seen.append(text[body:limit])
        return [FoundCall(start, limit, ONE)]

    assert [(found.start, found.end) for found in find_sections("x#a#b", "#", read)] == [(1, 3), (3, 5)]
    assert seen == ["a", "b"] and find_sections("none", "#", read) == []


def test_a_mark_inside_a_section_that_was_read_opens_none():
    found = find_sections("#a#b#c", "#", lambda text, start, body, limit: [FoundCall(start, start + 4, ONE)])
    assert [one.start for one in found] == [0, 4]


def test_the_calls_of_a_section_share_its_characters_without_overlap():
    assert placed([ONE], 2, 5, 9) == [FoundCall(2, 9, ONE)]
    assert placed([ONE, TWO, ONE], 2, 5, 9) == [FoundCall(2, 5, ONE), FoundCall(5, 5, TWO), FoundCall(5, 9, ONE)]
