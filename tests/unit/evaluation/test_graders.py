"""Verdicts on finished trajectories: the boxed answer, and exact match with token F1."""

import pytest

from mentor.config import BenchmarkConfig
from mentor.evaluation.graders import BUILDERS, AnswerGrader, QaGrader
from mentor.evaluation.qa import exact_match, normalize_answer, token_f1
from mentor.rewards.correctness import Grader
from mentor.types import StopReason, Task, Trajectory


def finished(text: str, *accepted: str, stop: StopReason = StopReason.ANSWERED) -> Trajectory:
    task = Task("t", "q", accepted, "")
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": text}]
    return Trajectory(task, messages, "[]", stop, [])


def test_every_choice_of_the_config_has_a_grader():
    choices = BenchmarkConfig.__dataclass_fields__["grader"].metadata["choices"]
    assert set(choices) == set(BUILDERS)


def test_the_answer_grader_looks_at_the_final_box_only():
    with Grader() as answers:
        grader = AnswerGrader(answers)
        assert grader.grade(finished(r"so \boxed{72}", "72")).to_dict() == {
            "correct": True,
            "scores": {},
            "reason": None,
        }
        assert grader.grade(finished("so 72", "72")).correct is False
        assert grader.grade(finished(r"\boxed{72}", "72", stop=StopReason.LENGTH)).correct is False


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Beatles!", "beatles"),
        ("an apple a day", "apple day"),
        ("U.S.A.", "usa"),
        ("Jay-Z's", "jayzs"),
        ("theatre", "theatre"),
        ("the", ""),
        ("1,234", "1234"),
    ],
)
def test_normalised_answers(text: str, normal: str):
    assert normalize_answer(text) == normal


@pytest.mark.parametrize(
    ("prediction", "accepted", "em", "f1"),
    [
        ("James Madison", "james madison", 1.0, 1.0),
        ("President James Madison", "James Madison", 0.0, 0.8),  # precision 2/3, recall 1
        ("Madison Madison", "James Madison", 0.0, 0.5),  # one word in common, not two
        ("the river Thames in London", "Thames", 0.0, 0.4),  # 4 words without the article: 2 * 1 / (4 + 1)
        ("yes", "yes", 1.0, 1.0),
        ("yes it is", "yes", 0.0, 0.0),
        ("no", "no way", 0.0, 0.0),
        ("", "Lima", 0.0, 0.0),
        ("the", "a", 1.0, 0.0),
    ],
)
def test_exact_match_and_f1(prediction: str, accepted: str, em: float, f1: float):
    assert (exact_match(prediction, accepted), token_f1(prediction, accepted)) == (em, pytest.approx(f1))


def test_the_qa_grader_takes_the_box_else_all_that_is_said_and_the_best_accepted_answer():
    grader = QaGrader()
    verdict = grader.grade(finished(r"It was \boxed{\text{New York City}}.", "NYC", "New York"))
    assert verdict.correct is False and verdict.scores == {"em": 0.0, "f1": pytest.approx(0.8)}
    assert grader.grade(finished("The NYC.", "New York", "NYC")).to_dict() == {
        "correct": True,
        "scores": {"em": 1.0, "f1": 1.0},
        "reason": None,
    }
    cut = grader.grade(finished("NYC", "NYC", stop=StopReason.LENGTH))
    assert cut.correct is False and cut.scores == {"em": 0.0, "f1": 0.0}
