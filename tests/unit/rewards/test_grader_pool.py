"""Grader processes: verdicts are remembered, failures are not."""

from mentor.rewards.grader_pool import GraderPool


def test_an_undecided_verdict_is_asked_again():
    """A limit that no process can keep stands for a busy moment; with time the same question has its answer."""
    question = ("project", r"\sqrt{8}", [r"2\sqrt{2}"])
    with GraderPool(1) as pool:
        assert pool.judge(*question, timeout_s=0.0) is None
        assert pool.judge(*question, timeout_s=20.0) is True
        assert pool.judge(*question, timeout_s=0.0) is True  # remembered, so no process is asked
