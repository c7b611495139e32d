"""What changes rewards before advantages, by hand: terms that fade, and what is subtracted."""

import math

import pytest

from mentor.algorithm.advantage import EPSILON, AdvantageSettings
from mentor.algorithm.loss import LossSettings
from mentor.rl.advantages import assign_advantages, enough_signal
from mentor.rl.experience import gather_experience
from mentor.rl.reward_shaping import fade_guidance, subtract_kl, subtract_overlong
from mentor.rl.settings import AnnealSettings, ShapingSettings
from mentor.types import RewardBreakdown
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


BY_GROUP = ShapingSettings(12, anneal=AnnealSettings(frozenset({"match", "valid"}), by_run=False))
BY_RUN = ShapingSettings(12, anneal=AnnealSettings(frozenset({"match", "valid"}), by_run=True, until=0.5))
GDPO = AdvantageSettings(aggregation="normalize_then_sum")


def make_graded(*members):
    """A group of flexible rewards: of each member whether it is right (None: not graded) and its match."""
    group = make_group([None] * len(members))
    weights = {"correct": 0.6, "match": 0.3}
    for place, (correct, match) in enumerate(members):
        if correct is not None:
            parts = {"correct": 0.6 * correct, "match": 0.3 * match}
            total = parts["correct"] + parts["match"]
            group.rewards[place] = RewardBreakdown(total, {"correct": correct}, parts=parts, weights=weights)
    return group


def test_guidance_fades_with_the_share_of_right_answers_of_its_group():
    mixed, failed = make_graded((1, 1), (0, 0.5), (0, 0), (None, 0)), make_graded((0, 1), (0, 0))
    passed, ungraded = make_graded((1, 1), (1, 0)), make_graded((None, 0), (None, 0))
    fade_guidance([mixed, failed, passed, ungraded], BY_GROUP, run_success=1.0)
    # one of three graded answers is right, none, both
    assert [group.guidance for group in (mixed, failed, passed, ungraded)] == [pytest.approx(2 / 3), 1.0, 0.0, 1.0]
    assert [reward.total for reward in mixed.rewards] == [pytest.approx(0.6 + 0.2), pytest.approx(0.1), 0.0, None]
    assert mixed.rewards[0].parts == pytest.approx({"correct": 0.6, "match": 0.2})
    assert [reward.total for reward in failed.rewards] == pytest.approx([0.3, 0.0])
    assert [reward.total for reward in passed.rewards] == [0.6, 0.6] and not enough_signal([passed], 1, GDPO)
    assert mixed.rewards[3].total is None and not mixed.rewards[3].parts


def test_guidance_fades_with_the_success_of_the_run_and_is_whole_before_the_first_step():
    factors = []
    for success in (None, 0.0, 0.2, 0.5, 0.9):
        group = make_graded((0, 1), (0, 0))
        fade_guidance([group], BY_RUN, success)
        factors.append(group.guidance)
        assert group.rewards[0].total == pytest.approx(0.3 * group.guidance)
    assert factors == pytest.approx([1.0, 1.0, 0.6, 0.0, 0.0])  # 1 - success / 0.5, at least 0


def test_a_term_that_is_normalised_by_itself_fades_with_its_weight():
    # both terms vary by 1 and 0, deviation 0.5: correct gives its weight 0.6, match its faded 0.3 * 0.6
    group = make_graded((1, 0), (0, 1))
    fade_guidance([group], BY_RUN, 0.2)
    assert group.rewards[0].weights == pytest.approx({"correct": 0.6, "match": 0.18})
    assign_advantages([group], GDPO)
    share = 0.5 / (0.5 + EPSILON)
    scale = (0.6 - 0.18) * share + EPSILON
    assert group.advantage_parts[0] == pytest.approx({"correct": 0.6 * share / scale, "match": -0.18 * share / scale})
    gone = make_graded((1, 0), (0, 1))
    fade_guidance([gone], BY_RUN, 0.5)
    assign_advantages([gone], GDPO)
    assert gone.advantage_parts[0]["match"] == 0.0 and gone.advantages[0] > 0.99


def test_without_annealing_rewards_stay_as_they_are():
    group = make_graded((1, 1), (0, 1))
    fade_guidance([group], ShapingSettings(12), 0.5)
    assert group.guidance is None and [reward.total for reward in group.rewards] == pytest.approx([0.9, 0.3])
