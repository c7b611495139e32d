import threading
import time
from collections.abc import Iterator

import pytest

from mentor.errors import InputError
from mentor.rewards.correctness import Grader


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(timeout_s=20.0) as grader:
        yield grader


HUGE = r"\frac{2^{2009}-1}{3 \cdot 2^{2008}-1}"


@pytest.mark.parametrize(
    ("prediction", "accepted"),
    [
        (r"\sqrt{637}", r"7\sqrt{13}"),
        ("sqrt(637)", r"7\sqrt{13}"),
        ("8+11i", "11i+8"),
        ("(x+2)(x+2)", "(x+2)^2"),
        ("-4, 56", "56, -4"),
        ("infinity", r"\infty"),
        ("x>45", "x > 45"),
        (r"\frac{14}{25}\pi", r"\frac{14\pi}{25}"),
        ("4^9", "262144"),
        ("629", "x=629"),
        ("5", r"\boxed{5}"),
        (r"1-\frac{1}{2^{2016}}", r"1-\left(\frac{1}{2}\right)^{2016}"),
        ("3.14159265", r"\pi"),
        (r"\{1, \sqrt{12}\}", r"\{2\sqrt{3}, 1\}"),
        ("(2,7), (1,8)", "(1,8), (2,7)"),
        (r"(\gamma-1)(\gamma+1)", r"\gamma^{2}-1"),
        ("n!/n", "(n-1)!"),
        (r"16\pi~\mathrm{cm}^2", r"16\pi"),
        ("3√2", r"3\sqrt{2}"),
        ("10⁵", "100000"),
        (r"\varnothing", r"\emptyset"),
        (r"\begin{pmatrix}1 \\ 2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        ("5cm", "5"),
        (r"2\pi", "2pi"),
        ("2+3 i", "2+3i"),
        ("2+1i", "2+i"),
        (r"\frac{i}{2}", r"\frac{1}{2}i"),
        (r"\sum_{i=1}^n i", r"\sum_{i=1}^{n} i"),
        ("f'(x)", r"f^\prime(x)"),
        (r"\big\{1,2\big\}", r"\lbrace 1,2\rbrace"),
        (r"\begin{bmatrix} 1 & 2 \\[4pt] 3 & 4 \end{bmatrix}", r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}"),
    ],
)
def test_right(grader: Grader, prediction: str, accepted: str) -> None:
    assert grader.grade(prediction, [accepted]) is True


@pytest.mark.parametrize(
    ("prediction", "accepted"),
    [
        ("5", r"5\pi"),
        ("x < 45", "x > 45"),
        (r"x \ge 3", "x > 3"),
        ("[-1, 3]", "(-1, 3]"),
        ("15x-5", "15x+5"),
        ("6-6i", "6+6i"),
        ("12x", "12"),
        ("593 + 7", "593"),
        (r"5 \text{ or } 6", "5"),
        (r"\frac{1}{0}", "5"),
        (r"1-\left(\frac{1}{2}\right)^{2015}", r"1-\left(\frac{1}{2}\right)^{2016}"),
        (r"\frac{0}{2^{1007}}", r"\frac{1}{2^{1007}}"),
        (r"\frac{4^{2024}}{\binom{4048}{2029}}-2", r"\frac{4^{2024}}{\binom{4048}{2024}}-2"),
        (r"2^{1006} \sqrt{8^{2010}+2}-2^{2011}", r"2^{1006} \sqrt{2^{2010}+2}-2^{2011}"),
        ("(2,7), (1,9)", "(1,8), (2,7)"),
        (r"\gamma^{2}-7", r"\gamma^{2}-1"),
        ("n!", "n"),
        ("n", "n!"),
        ("n!!", "n!"),
        ("f'(x)", "f(x)"),
        ("6-6 i", "6+6i"),
        ("{" + HUGE + "}", rf"\sqrt{{{HUGE}}}"),
    ],
)
def test_wrong(grader: Grader, prediction: str, accepted: str) -> None:
    assert grader.grade(prediction, [accepted]) is False


def test_any_accepted_answer_is_enough_and_nothing_is_no_answer(grader: Grader) -> None:
    assert grader.grade("7", ["5", r"\sqrt{49}"]) is True
    assert grader.grade("7", []) is False
    assert grader.grade(None, ["7"]) is False
    assert grader.grade("  ", ["7"]) is False
    with pytest.raises(InputError, match="True"):
        grader.grade("1", [True])  # type: ignore[list-item]


def test_hostile_answers_neither_hang_nor_count_as_wrong() -> None:
    with Grader(timeout_s=1.0) as grader:
        assert grader.grade(r"\sqrt{8}", [r"2\sqrt{2}"]) is True
        started = time.monotonic()
        assert grader.grade(r"\int_0^1 9^{9^{9^9}}", [r"\sqrt{2}"]) is None
        assert time.monotonic() - started < 20  # a limit of 1 s, and a grader process that starts anew
        assert grader.grade(r"\sqrt{18}", [r"3\sqrt{2}"]) is True  # the killed process is replaced


def test_a_number_that_is_too_large_is_wrong_at_once() -> None:
    with Grader() as grader:
        for hostile in ("2039191!", "10^{10^{10}}", "9^{9^{9^9}}", "((((9!)!)!)!)!", r"\binom{1000000}{500000}"):
            assert grader.grade(hostile, ["7"]) is False and grader.grade(hostile, [r"\sqrt{2}"]) is False
        assert grader._pool is not None and all(slot is None for slot in grader._pool._slots.queue)


def test_each_accepted_answer_is_compared_with_what_it_asks_for() -> None:
    with Grader() as grader:  # the value goes to math-verify, the letter does not
        assert grader.grade(r"(B) \sin^2(x) + \cos^2(x)", ["C", "1"]) is True
        assert grader.grade(r"(B) \sin^2(x) + \cos^2(x)", ["C", "2"]) is False


def test_from_many_threads_at_once() -> None:
    verdicts: dict[int, bool | None] = {}
    with Grader(timeout_s=20.0, workers=2) as grader:

        def work(number: int) -> None:
            verdicts[number] = grader.grade(rf"\sqrt{{{number}}}", [rf"{number}^{{1/2}}"])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(2, 14)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert verdicts == dict.fromkeys(range(2, 14), True)


def test_plain_answers_start_no_process() -> None:
    with Grader() as grader:
        assert grader.grade("72.0", ["72"]) is True
        assert grader._pool is not None and all(slot is None for slot in grader._pool._slots.queue)
