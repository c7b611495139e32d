"""The rules of the comparison: verdicts by hand, each example by its rule, and the table in docs/rewards.md."""

import json
from pathlib import Path

import pytest

from mentor.conf_dir import conf_dir
from mentor.rewards.answers import RULES, AnswerRule, Example, compare, first_verdict
from mentor.rewards.boxed import extract_boxed

PAGE = conf_dir().parent / "docs" / "rewards.md"


@pytest.mark.parametrize(
    ("rule", "example"),
    [(rule, example) for rule in RULES for example in rule.examples],
    ids=lambda part: part.name if isinstance(part, AnswerRule) else f"{part.given[:30]}-{part.accepted}",
)
def test_an_example_gets_its_verdict_by_its_rule(rule: AnswerRule, example: Example) -> None:
    assert first_verdict(example.given, example.accepted) == (rule.name, example.verdict)


def test_every_rule_has_its_own_name_meaning_and_an_example() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.examples and rule.meaning for rule in RULES)


def table() -> str:
    """The rules as docs/rewards.md shows them."""
    lines = ["| rule | meaning | answer | accepted | verdict |", "|---|---|---|---|---|"]
    for rule in RULES:
        for place, example in enumerate(rule.examples):
            head = f"`{rule.name}` | {rule.meaning}" if place == 0 else " | "
            given, accepted = cell(example.given), cell(example.accepted)
            lines.append(f"| {head} | {given} | {accepted} | {'right' if example.verdict else 'wrong'} |")
    return "\n".join(lines)


def cell(text: str) -> str:
    """The text as code; a long one cut, with its length."""
    if not text:
        return "nothing"
    return f"`{text}`" if len(text) <= 40 else f"`{text[:10]}...` ({len(text)} characters)"


def test_the_documentation_shows_the_rules() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), f"docs/rewards.md should hold:\n{table()}"


@pytest.mark.parametrize("prediction", ["2 5/3", r"2\frac{5}{3}", "2 3/3"])
def test_an_improper_fraction_is_no_part_of_a_mixed_number(prediction: str) -> None:
    for value in ("11/3", "3", "3.666667"):
        assert compare(prediction, value) is not True


@pytest.mark.parametrize(
    ("prediction", "accepted"),
    [
        ("72.0", "72"), ("0072", "72"), ("$72$", "72"), (r"\$72", "72"), ("$480.00", r"\$480"), ("72 dollars", "72"),
        ("1,234", "1234"), ("−5", "-5"), ("72.", "72"), (r"\text{72}", "72"), ("+3", "3"), ("-0", "0"),
        (r"\frac{1}{2}", "0.5"), ("30/22", "15/11"), (r"4\frac{9}{14}", r"\frac{65}{14}"), (r"\dfrac{1}{2}", "1/2"),
        ("4e5", "400000"), (r"9\times 10^{4}", "90,000"), ("33.333333", "100/3"), ("0.4545455", r"\frac{5}{11}"),
        ("5.551115123125783e-17", "0"), ("123456789.12299999", "123456789.123"),
        (r"62\%", "62"), ("0.62", r"62\%"), (r"146^{\circ}", "146"), (r"5\text{ cm}", "5 cm"),
        (r"505\ \mathrm{square feet}", r"505\text{ square feet}"),
        ("james madison", "James Madison"), ("The yes.", "yes"), (r"\text{Lima}", "Lima"), ("(B)", "B"), ("a", "A"),
        ("week 23", "Week 23"), (r"\sqrt{34} + 56", r"\sqrt{34}+56"),
        ("3562463338277413070879740219074579006293", "3562463338277413070879740219074579006293"),
    ],
)  # fmt: skip
def test_equal(prediction: str, accepted: str) -> None:
    assert compare(prediction, accepted) is True


@pytest.mark.parametrize(
    ("prediction", "accepted"),
    [
        ("33.4", "33.33"), ("33.33", "33.3333"), ("0.455", r"\frac{5}{11}"), ("1000000.5", "1000000"), ("62", "0.62"),
        ("-595", "595"), ("9/40", "40/9"), ("5 cm", "5 m"), ("1.000003", "1"), ("31/2", r"3\frac{1}{2}"),
        ("5 clips", "5 people"),
        ("3562463338277413070879740219074579006294", "3562463338277413070879740219074579006293"),
        ("The total is 593", "593"), ("about 881", "881"), ("879 in all", "879"), (r"\text{about } 881", "881"),
        ("4 million", "4"), ("no", "yes"), ("Lima, Peru", "Lima"), ("n+o", "no"), ("True", "1"), ("", "5"), ("5", ""),
        ("-i", "i"), ("−x", "x"),
        ("[1, 3]", "(1, 3]"), (r"(1, 2)", r"\{1, 2\}"), (r"x \in (1, 2)", r"\{1, 2\}"),
    ],
)  # fmt: skip
def test_different(prediction: str, accepted: str) -> None:
    assert compare(prediction, accepted) is False


@pytest.mark.parametrize(
    ("prediction", "accepted"), [("1", r"\sin^2(x)+\cos^2(x)"), (r"\int x", r"x^2/2"), ("2(3)", "6x/x")]
)
def test_mathematics_is_left_to_math_verify(prediction: str, accepted: str) -> None:
    assert compare(prediction, accepted) is None


@pytest.mark.parametrize(
    ("prediction", "accepted", "verdict"),
    [
        ("52_8", "52_{8}", True), ("52", "52_8", True), ("52_7", "52_8", False), ("53_8", "52_8", False),
        ("1A_{16}", r"1A_{16}", True), ("2516_{10}", r"2516_{\text{10}}", True), ("a_1", "a_2", False),
        (r"15\text{ cm}^2", r"15\mbox{ cm}^2", True), (r"15\mbox{ cm}^7", r"15\mbox{ cm}^2", False),
        ("15 square centimeters", r"15\mbox{ cm}^2", True), ("15", r"1\mbox{ cm}^2", False), ("36 km/h", "36", True),
        (r"1620 \mathrm{~mm}^{4}", r"1620 \mathrm{~mm}^{2}", False), ("5 centimetres", "5 cm", True),
        ("1, 16, 3, 1", "16,3,1,1", None), ("16,3,1,3", "16,3,1,1", False), ("$2$, $-1$", "-1,2", True),
        (r"\frac{1}{2005005}", r"\frac{1}{2005004}", False), ("3025 \\frac{1}{2019}", "3025 \\frac{1}{2017}", False),
        ("0.000000498752", r"\frac{1}{2005004}", True),
    ],
)  # fmt: skip
def test_bases_powers_of_units_repeats_and_exact_fractions(
    prediction: str, accepted: str, verdict: bool | None
) -> None:
    assert compare(prediction, accepted) is verdict


@pytest.mark.parametrize(
    ("prediction", "accepted", "verdict"),
    [
        (r"12\,345", "12345", True), (r"12\;345\;678", "12345678", True), ("1 000", "1000", True),
        ("1,\\!234", "1234", True), ("tv", "TV", True), ("New York", "new york", True),
        (r"12\,345", "357", False), ("235", r"1\,234", False), ("3 5", "8", False), ("2^3 125", "1000", None),
        (r"12.5\%", r"\frac18", True), ("1 1/2", r"\frac32", True), ("1½", "1.5", True), (r"2\,\frac12", "2.5", True),
        (r"0.3\overline{6}", "11/30", True), (r"0.\overline{3}", "0.3", False), (r"\approx 5", "5", True),
        ("nk", "kn", True), (r"k \cdot n", "kn", True), (r"a\cdot b", "ab", True), ("xz", "xy", False),
        ("on", "no", False),
        ("2ab", "2", False), ("2", "2m", False), (r"2 \cdot b \cdot a", "2ab", True), ("5th", "5", None),
        ("k", "K", False), ("c", "C", True), ("(c)", "C", True), ("E", "e", False), ("n!", "n", False),
        ("P'", "P", False),
        (r"5\sqrt{2}\text{ m}", r"5\sqrt{2}\text{ cm}", False), (r"16\pi\text{ cm}", r"16\pi\text{ cm}^2", False),
        (r"\frac{270}7\text{ meters}", r"\frac{270}7\text{ degrees}", False),
        ("89", r"89 \mathrm{ km} / \mathrm{h}", True),
        (r"3 \mathrm{m}/\mathrm{s}", r"3 \mathrm{ft}/\mathrm{s}", False), ("50 miles/hour", "50 mph", True),
        ("10 square units", "10", True), ("HTH", "THH", False), ("bcd", "BCD", True), (r"\text{kn}", "nk", False),
        ("2:3:4", "4:6:8", True), ("2:3:4", "2:4:3", False), ("2:3:4", "1/6", False),
        ("0:1:2", "0:2:4", True), ("0:1:2", "0:3:4", False), ("0:1:2", "1:1:2", False), ("5 cm = 50 mm", "5", None),
        ("4=3", "3", False), ("48/2=24", "24", None), ("x=3", "3", True),
        ("5", r"5\pi", False), (r"\pi", "π", True), ("x-1", "x+1", False), (r"2\sqrt{3}", r"\sqrt{12}", True),
    ],
)  # fmt: skip
def test_digit_groups_products_marks_units_and_ratios(prediction: str, accepted: str, verdict: bool | None) -> None:
    assert compare(prediction, accepted) is verdict


@pytest.mark.parametrize(
    ("prediction", "accepted"),
    [
        ("72 clips", "72"), ("4 people", "4"), ("72", "72 clips"), ("12 J", "12"), ("12", r"12\text{ J}"),
        ("12 kJ", "12"), ("12 N m", "12"), ("12 kg m/s^2", "12"), ("12kg", "12"), ("1/2 cup", "0.5"),
        ("-5 degrees Celsius", "-5"),
        ("72 Clips", "72 clips"), ("12 Joules", "12 J"), (r"5\text{ AU}", "5"), (r"5\pi\text{ square meters}", r"5\pi"),
        (r"\text{Area} = 12", "12"), (r"\text{Area} = 12\text{ cm}^2", "12"), ("speed: 5 m/s", "5"),
        (r"\text{total cost} = \$12", "12"), ("12", r"\text{Area}=12"), (r"\text{Area} = 5\pi", r"5\pi"),
        (r"30\degree", r"30^{\circ}"), (r"30^\degree", "30"), (r"30^{\degree}", "30°"), ("30º", "30"),
        ("12，000", "12000"), ("１２．５", "12.5"), ("－５", "-5"), ("（1，2）", "(1,2)"), ("１、２", "1,2"),
        ("62 pct", r"62\%"), ("62pct.", "0.62"), ("0.62", "62 per cent"), (r"62\text{ pct}", "62"),
        ("(B) 12", "12"), ("(B) 12", "B"), ("(B) 12", "(B)"), ("B", "(B) 12"), ("12", "(B) 12"), ("B. 12", "B"),
        (r"\textbf{(B)}\ 12", "12"), (r"\text{(B) } \frac12", "0.5"), ("(B) Paris", "Paris"), ("B) -5", "-5"),
        (r"\{(1,2), (3,4)\}", "(3,4),(1,2)"), ("{(1,2),(3,4)}", r"\{(3,4),(1,2)\}"), (r"\{(x,y)\}", "(x,y)"),
        ("10^{10^{10}}", "10^{10000000000}"), ("a spirit", "spirit"),
    ],
)  # fmt: skip
def test_what_one_side_alone_says_may_be_left_out(prediction: str, accepted: str) -> None:
    assert compare(prediction, accepted) is True


@pytest.mark.parametrize(
    ("prediction", "accepted"),
    [
        (r"5 \text{ or six}", "5"), (r"90\text{ or more}", "90"), (r"5 \text{ is wrong}", "5"), ("90 or more", "90"),
        ("4 dozen", "4"), ("3 halves", "3"), ("5 maybe", "5"), ("not 5", "5"), ("six = 5", "5"), ("12 x", "12"),
        ("12 Monkeys", "12"), ("73 clips", "72"), ("5 apples and 6 pears", "5"),
        ("5 \\text{ or six}", r"5\text{ apples}"),
        (r"5\sqrt{2} \text{ or more}", r"5\sqrt{2}"), ("2 abc", "2"), ("2 xyz", "2"),
        ("12 K", "12 J"), ("12 N", "12 N m"), (r"\text{Area} = 13", "12"),
        (r"\text{min} = 3", r"\text{max} = 3"), ("(C) 12", "B"), ("(C) 12", "(B) 12"), ("(B) 13", "(B) 12"),
        ("(B) 13", "12"), ("(A) B", "A"), ("(A) B", "B"), ("A, B", "B"), (r"\{(2,1),(3,4)\}", "(1,2),(3,4)"),
        ("2039191!", "2039190!"), ("5", "2039191!"), ("10^{10^{10}}", "10"),
        ("10", "10^{10^{10}}"), ("10^{10^{10}}", "10^{10^{9}}"), ("9^{9^{9^{9}}}", "5"), (r"\sqrt{2039191!}", "7"),
        ("1, 2039191!", "1,3"), ("10^{10^{10}} + x", "x"),
    ],
)  # fmt: skip
def test_no_unit_no_choice_and_no_number_that_was_asked_for(prediction: str, accepted: str) -> None:
    assert compare(prediction, accepted) is False


def test_the_spellings_of_the_cases(shared: Path) -> None:
    rows = map(json.loads, (shared / "cases" / "k19_spellings.jsonl").read_text(encoding="utf-8").splitlines())
    assert [compare(extract_boxed(row["response"]) or "", row["ground_truth"]) for row in rows] == [True, True]
