"""Verdicts on finished trajectories: the boxed answer, and exact match with token F1."""

import pytest

from mentor.config import BenchmarkConfig
from mentor.evaluation.graders import BUILDERS, AnswerGrader, QaGrader, open_grader
from mentor.rewards.correctness import Grader
from mentor.types import StopReason, Task, Trajectory
from tests.fixtures.judge_server import JudgeServer, write_rubric
from tests.fixtures.own_rewards import write_rewards
from tests.unit.endpoints.test_background import opened


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


def test_a_grader_and_terms_of_the_users_own(tmp_path):
    path, said = write_rewards(tmp_path), []
    terms = {"brief": f"{path}:brief", "valid": "valid", "broken": f"{path}:raises"}
    with Grader() as answers, open_grader(f"{path}:graded", terms, answers, said.append, 20.0) as grader:
        right, wrong = grader.grade(finished("It is 72.", "72")), grader.grade(finished("No.", "72"))
        cut = grader.grade(finished("It is 72", "72", stop=StopReason.LENGTH))  # its final_text is None
    assert (right.correct, dict(right.scores)) == (True, {"length": 9.0, "brief": 1.0})  # of valid too little is known
    assert (wrong.correct, wrong.reason) == (False, None)
    assert (cut.correct, cut.reason, dict(cut.scores)) == (False, "unfinished", {})
    assert len(said) == 1 and said[0].startswith("no grade for broken: ") and "ZeroDivisionError" in said[0]


def test_a_verdict_that_the_users_grader_cannot_give_is_none_and_not_wrong(tmp_path):
    said = []
    with Grader() as answers, open_grader(f"{write_rewards(tmp_path)}:none", {}, answers, said.append, 20.0) as grader:
        verdict = grader.grade(finished("It is 72.", "72"))
    assert (verdict.correct, verdict.reason) == (None, "bad_value") and "on task t returned None" in said[0]


def test_a_built_in_grader_measures_terms_too():
    with Grader() as answers, open_grader("answer", {"names": "set"}, answers, print, 5.0) as grader:
        assert grader.grade(finished(r"\boxed{72}", "72")).to_dict() == {"correct": True, "scores": {}, "reason": None}


def test_a_judge_grades_a_benchmark_and_measures_a_term(tmp_path):
    pytest.importorskip("openai")
    rubric = f"judge:{write_rubric(tmp_path)}"
    said = []
    with (
        JudgeServer({"hm": "wrong_json"}) as server,
        opened(tmp_path / "judge", server) as endpoint,
        Grader() as answers,
        open_grader(rubric, {"tone": rubric}, answers, said.append, 20.0, endpoint) as grader,
    ):
        right, wrong = grader.grade(finished("It is 72.", "72")), grader.grade(finished("No.", "72"))
        missing = grader.grade(finished("hm", "72"))
    assert (right.correct, dict(right.scores)) == (True, {"score": 1.0, "tone": 1.0})
    assert (wrong.correct, dict(wrong.scores)) == (False, {"score": 0.25, "tone": 0.25})
    assert (missing.correct, missing.reason, dict(missing.scores)) == (None, "no_score", {}) and len(said) == 2
    assert len(server.bodies) == 3  # the grader and the term ask the same
