"""What is subtracted from rewards before advantages, by hand."""

import math

import pytest

from mentor.algorithm.loss import LossSettings
from mentor.rl.experience import gather_experience
from mentor.rl.reward_shaping import subtract_kl, subtract_overlong
from mentor.rl.settings import ShapingSettings
from tests.fixtures.groups import Fixed, make_algorithm, make_group


def test_kl_is_subtracted_as_a_sum_over_trained_tokens():
    # sampler -3, reference -3.5: d = 0.5 on 5 tokens; k1 is d, k3 e^-0.5 - 1 + 0.5
    for estimator, each in (("k1", 0.5), ("k3", math.exp(-0.5) - 0.5)):
        group, flat = make_group([1.0, 0.0, None]), make_group([0.5, 0.5])
        algorithm = make_algorithm(kl_coef=0.1, kl_estimator=estimator)
        experience = gather_experience([group, flat], Fixed(-9.0), Fixed(-3.5), 0, algorithm, "seed")
        assert subtract_kl(experience, algorithm.shaping) == {"policy/kl": pytest.approx(each)}
        assert group.rewards[0].parts == {"total": 1.0, "kl": pytest.approx(-0.1 * 5 * each)}
        assert group.rewards[0].total == pytest.approx(1.0 - 0.1 * 5 * each)
        assert group.rewards[2].total is None and not group.rewards[2].parts
        assert [reward.parts for reward in flat.rewards] == [{}, {}]


def test_kl_is_that_of_the_policy_itself_where_its_logprobs_were_recomputed():
    group = make_group([1.0, 0.0])
    algorithm = make_algorithm(kl_coef=1.0, kl_estimator="k1", recompute=True)
    subtract_kl(gather_experience([group], Fixed(-3.2), Fixed(-3.5), 0, algorithm, "seed"), algorithm.shaping)
    assert group.rewards[1].parts["kl"] == pytest.approx(-5 * 0.3)


def test_a_kl_term_in_the_loss_leaves_the_rewards_alone():
    group = make_group([1.0, 0.0])
    algorithm = make_algorithm(LossSettings(0.2, 0.28, kl_coef=0.1))
    assert (
        subtract_kl(gather_experience([group], Fixed(-3.2), Fixed(-3.5), 0, algorithm, "seed"), algorithm.shaping) == {}
    )
    assert [reward.total for reward in group.rewards] == [1.0, 0.0]


def test_the_overlong_penalty_grows_in_the_buffer_and_leaves_the_ungraded_alone():
    # 11 tokens of 12, 4 into a buffer of 5, times 2
    group = make_group([1.0, None])
    subtract_overlong([group], ShapingSettings(12, overlong_buffer_tokens=5, overlong_penalty=2.0))
    assert group.rewards[0].parts == {"total": 1.0, "overlong": pytest.approx(-2 * 4 / 5)}
    assert group.rewards[1].total is None
    plain = make_group([1.0, 0.0])
    subtract_overlong([plain], ShapingSettings(12))
    assert [reward.parts for reward in plain.rewards] == [{}, {}]
