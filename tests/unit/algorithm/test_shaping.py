import math

import pytest
import torch

from mentor.algorithm.shaping import kl_of_sequences, overlong_penalty
from mentor.types import RewardBreakdown


def test_the_overlong_penalty_falls_in_a_line_over_the_buffer():
    assert [overlong_penalty(length, 100, 20) for length in (1, 80, 85, 90, 100, 130)] == [0, 0, -0.25, -0.5, -1, -1]
    assert overlong_penalty(100, 100, 0) == 0


def test_kl_of_a_sequence_sums_its_trained_tokens():
    policy = torch.tensor([[0.0, -1.0, -2.0], [0.0, -1.0, 0.0]])
    ref = torch.tensor([[0.0, -1.5, -1.0], [0.0, -1.0, 0.0]])
    mask = torch.tensor([[False, True, True], [False, True, False]])
    assert kl_of_sequences(policy, ref, mask, "k1").tolist() == pytest.approx([0.5 - 1.0, 0.0])
    # k3 with d = 0.5 and -1: e^-0.5 - 1 + 0.5 and e - 2
    assert kl_of_sequences(policy, ref, mask, "k3")[0].item() == pytest.approx(math.exp(-0.5) - 0.5 + math.e - 2)


def test_a_part_changes_the_total_and_is_listed():
    shaped = RewardBreakdown(0.75, {"correct": 1.0}, parts={"correct": 0.75}).with_part("kl", -0.25)
    assert shaped.total == 0.5 and shaped.parts == {"correct": 0.75, "kl": -0.25} and shaped.correct == 1.0
    assert RewardBreakdown(0.5, {}).with_part("overlong", -1.0).parts == {"total": 0.5, "overlong": -1.0}
    # rounded once: equal sums of other parts are equal totals
    assert RewardBreakdown(0.4, {}, parts={"correct": 0.1, "match": 0.3}).with_part("overlong", 0.6).total == 1.0
    assert RewardBreakdown(None, {"correct": None}).with_part("kl", -1.0).total is None
