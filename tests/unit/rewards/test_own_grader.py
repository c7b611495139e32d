"""What a grader of the user's own may say."""

import pytest

from mentor.rewards.grades import Missing
from mentor.rewards.own_grader import OwnGrader
from tests.unit.rewards.builders import make_trajectory


class Says:
    of_all = False

    def __init__(self, grade):
        self.grade = grade

    def lacks(self, task):
        return None

    def grades(self, trajectories):
        return [self.grade for _ in trajectories]

    def close(self):
        self.closed = True


@pytest.mark.parametrize(
    ("grade", "correct", "scores"),
    [(1.0, 1.0, {}), (0.0, 0.0, {}), ({"correct": 1.0, "f1": 0.5}, 1.0, {"f1": 0.5})],
)
def test_right_or_wrong_with_further_scores(grade, correct, scores):
    with OwnGrader(Says(grade)) as grader:
        (outcome,) = grader.outcomes([make_trajectory()])
    assert (outcome.correct, dict(outcome.scores)) == (correct, scores) and grader._term.closed


@pytest.mark.parametrize(
    ("grade", "said"),
    [
        (0.7, "the grader gives correct=0.7 for task t0; accepted: true or false, 1 or 0"),
        ({"f1": 0.5}, "the grader gives no `correct` among f1 for task t0"),
        (Missing("it raised", "exception"), "it raised"),
        (None, "the grader says nothing of task t0"),
    ],
)
def test_anything_else_is_a_missing_grade(grade, said):
    (outcome,) = OwnGrader(Says(grade)).outcomes([make_trajectory()])
    assert isinstance(outcome.correct, Missing) and outcome.correct.why.startswith(said)
