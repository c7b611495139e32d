"""On-policy distillation of a step: what is trained on, where advantages come from, and its gradient in float64."""

import copy
from dataclasses import replace

import pytest
import torch

from mentor.algorithm.distillation import REST, DistillSettings
from mentor.algorithm.loss import LossSettings
from mentor.policy import MostLikely, OptimizerSettings
from mentor.policy.ranks import Ranks
from mentor.policy.teacher_model import TeacherModel, TeacherScores
from mentor.rl.advantages import assign_advantages
from mentor.rl.distilling import ask_teacher, distillation_metrics
from mentor.rl.experience import gather_experience
from mentor.rl.update import update_policy
from mentor.types import StopReason
from tests.fixtures.groups import PLAIN, Fixed, make_algorithm, make_group
from tests.fixtures.policies import build_policy, gradients_of, make_policy, make_tokens
from tests.fixtures.students import make_small_student


class Saying:
    """A teacher that gives every trained token the same logprob, and keeps the batches it is shown."""

    def __init__(self, logprob):
        self.logprob, self.seen = logprob, []

    def score(self, batch):
        self.seen.append(batch)
        return TeacherScores(torch.where(batch.loss_mask, self.logprob, 0.0))


def taught(groups, teacher, distill, policy=None, **update):
    """Experience of groups whose advantages are assigned, and the algorithm."""
    algorithm = make_algorithm(LossSettings(0.2, 0.28, distill=distill), **update)
    experience = gather_experience(groups, policy or Fixed(-3.0), None, 0, algorithm, "s")
    assign_advantages(groups, PLAIN)
    return ask_teacher(experience, teacher, distill), algorithm


def test_every_trajectory_is_trained_on_also_those_whose_reward_says_nothing():
    flat, mixed = make_group([0.5, 0.5]), make_group([1.0, None, 0.0])
    mixed.trajectories[2].stop_reason = StopReason.LENGTH
    experience, _ = taught([flat, mixed], Saying(-1.0), DistillSettings(1.0))
    assert [(group is mixed, member) for group, member in experience.members] == [
        *((False, 0), (False, 1), (True, 0), (True, 1), (True, 2))
    ]
    experience, _ = taught([flat, mixed], Saying(-1.0), DistillSettings(1.0), mask_cut=True)
    assert len(experience.members) == 4


def test_an_advantage_is_the_rewards_part_and_the_teachers():
    group = make_group([1.0, None, 0.0], sampled=2)  # sampled with a logprob of -3
    distill = DistillSettings(coef=0.25, reward_coef=2.0)
    experience, algorithm = taught([group], Saying(-1.0), distill)
    # 2 * 0.5 + 0.25 * (-1 + 3); nothing from a reward that is not there; 2 * -0.5 + 0.5
    expected = [[1.5, 1.5], [0.5, 0.5], [-0.5, -0.5]]
    (part,) = experience.minibatches(algorithm, "s")
    rows = [part.advantages[row][part.loss_mask[row]].tolist() for row in range(3)]
    assert sorted(rows, reverse=True) == expected and group.advantages == [0.5, None, -0.5]
    assert group.distilled == {0: [0.5, 0.5], 1: [0.5, 0.5], 2: [0.5, 0.5]}
    metrics = distillation_metrics(experience, distill)
    # per trajectory 0.5 twice from the teacher, and 1, 0, 1 twice from the reward
    assert metrics == {"distill/kl": -2.0, "distill/teacher_tokens": 24.0, "distill/advantage_share": 3 / 7}


def test_the_teacher_is_shown_all_tokens_once_and_asked_about_the_sampled_ones_alone():
    teacher, group = Saying(-1.0), make_group([1.0, 0.0])
    experience, algorithm = taught([group], teacher, DistillSettings(1.0), epochs=2, minibatches=2)
    assert len(list(experience.minibatches(algorithm, "s"))) == 4
    (batch,) = teacher.seen
    assert batch.loss_mask.sum(1).tolist() == [5, 5] and batch.attention.sum(1).tolist() == [11, 11]
    nothing = gather_experience([], Fixed(-3.0), None, 0, algorithm, "s")
    assert ask_teacher(nothing, teacher, DistillSettings(1.0)) is nothing and len(teacher.seen) == 1
    assert distillation_metrics(nothing, DistillSettings(1.0)) == {"distill/teacher_tokens": 0.0}


def test_recomputed_logprobs_are_compared_where_there_are_any(student, chat):
    policy, group = make_policy(student, chat), make_group([1.0, 0.0])
    experience, _ = taught([group], Saying(-1.0), DistillSettings(1.0), policy, recompute=True)
    mask = experience.tokens.loss_mask
    assert torch.allclose(experience.distilled[mask], -1.0 - policy.logprobs(experience.tokens)[mask], atol=1e-6)


def groups_of(policy):
    """Two groups, one of equal rewards; sampled by an engine that is off by up to 0.01."""
    groups = [make_group([1.0, 0.0, 1.0]), make_group([0.0, 0.0])]
    for number, group in enumerate(groups):
        for place, trajectory in enumerate(group.trajectories):
            trajectory.tokens = make_tokens(10 * number + place, 3 + place, 4 + 2 * place)
            ids = torch.tensor([trajectory.tokens.token_ids])
            with torch.no_grad():
                logs = policy.model(input_ids=ids).logits[0, :-1].log_softmax(-1)
            own = [0.0, *logs.gather(1, ids[0, 1:, None])[:, 0].tolist()]
            trajectory.tokens.logprobs[:] = [value + 0.01 * (i % 3 - 1) for i, value in enumerate(own)]
    return groups


def by_hand(model, teacher, groups, distill):
    """The gradient of the loss, from whole logits in float64: formulas of docs/algorithms.md, a token at a time."""
    model, teacher = copy.deepcopy(model).double(), copy.deepcopy(teacher).double()
    trained, loss = sum(t.tokens.sampled for group in groups for t in group.trajectories), 0.0
    for group in groups:
        mean = sum(breakdown.total for breakdown in group.rewards) / len(group.rewards)
        for trajectory, breakdown in zip(group.trajectories, group.rewards, strict=True):
            tokens, advantage = trajectory.tokens, breakdown.total - mean
            ids = torch.tensor([tokens.token_ids])
            own, other = (each(input_ids=ids).logits[0].log_softmax(-1) for each in (model, teacher))
            for place in [i for i, sampled in enumerate(tokens.loss_mask) if sampled]:
                token, old = tokens.token_ids[place], tokens.logprobs[place]
                student, master = own[place - 1], other[place - 1].detach()
                whole = distill.reward_coef * advantage
                if distill.placement == "advantage":
                    whole = whole + distill.coef * (master[token] - old)
                else:
                    best = master.topk(distill.top_k).indices
                    p, q = (
                        torch.cat([x[best].exp(), (1 - x[best].exp().sum()).clamp_min(REST)[None]])
                        for x in (student, master)
                    )
                    m = (1 - distill.jsd_beta) * p + distill.jsd_beta * q
                    divergence = {
                        "reverse_kl": (p * (p / q).log()).sum(),
                        "forward_kl": (q * (q / p).log()).sum(),
                        "jsd": distill.jsd_beta * (q * (q / m).log()).sum()
                        + (1 - distill.jsd_beta) * (p * (p / m).log()).sum(),
                    }[distill.divergence]
                    loss = loss + distill.coef * divergence / trained
                ratio = (student[token] - old).exp()
                loss = loss - torch.minimum(ratio * whole, ratio.clamp(0.8, 1.28) * whole) / trained
    loss.backward()
    return loss.item(), {name: value.grad for name, value in model.named_parameters()}


@pytest.mark.parametrize(
    "distill",
    [
        DistillSettings(1.0, 0.0),
        DistillSettings(0.3, 1.0),
        DistillSettings(1.0, 0.0, "loss", divergence="reverse_kl", top_k=4),
        DistillSettings(0.7, 1.0, "loss", divergence="forward_kl", top_k=8),
        DistillSettings(1.0, 0.5, "loss", divergence="jsd", top_k=3, jsd_beta=0.2),
    ],
    ids=lambda settings: f"{settings.placement} {settings.divergence} {settings.reward_coef}",
)
def test_the_gradient_is_that_of_an_independent_computation_in_float64(chat, distill):
    student, master = make_small_student(chat), make_small_student(chat, seed=3)
    policy = build_policy(student, chat.tokenizer, OptimizerSettings("adamw", 0.0, max_grad_norm=0))
    groups = groups_of(policy)
    value, expected = by_hand(student, master, groups, distill)
    listed = MostLikely(distill.top_k, len(chat.tokenizer)) if distill.in_loss else None
    experience, algorithm = taught(groups, TeacherModel(make_policy(master, chat), listed), distill)
    stats = update_policy(policy, experience, algorithm, "s", Ranks())
    assert stats["policy/loss"] == pytest.approx(value, rel=1e-5, abs=1e-6)
    found = gradients_of(policy)
    length = sum(float(value.norm()) ** 2 for value in expected.values()) ** 0.5
    apart = sum(float((found[name] - value).norm()) ** 2 for name, value in expected.items()) ** 0.5
    assert length > 0.01 and apart < 2e-6 * max(1.0, length)  # float32 sums differ in the last bits


def test_a_divergence_is_logged_as_a_mean_whatever_the_weights(chat):
    student, master = make_small_student(chat), make_small_student(chat, seed=3)
    distill = DistillSettings(1.0, 0.0, "loss", top_k=4)
    found = []
    for loss_mean in ("token", "constant"):
        policy = build_policy(student, chat.tokenizer, OptimizerSettings("adamw", 0.0))
        teacher = TeacherModel(make_policy(master, chat), MostLikely(4, len(chat.tokenizer)))
        experience, algorithm = taught(groups_of(policy), teacher, distill)
        algorithm = replace(algorithm, update=replace(algorithm.update, loss_mean=loss_mean))
        found.append(update_policy(policy, experience, algorithm, "s", Ranks())["distill/divergence"])
    assert found[0] == pytest.approx(found[1]) and found[0] > 0


def test_distillation_alone_draws_the_student_to_the_teacher(chat):
    policy = make_policy(make_small_student(chat), chat)
    teacher = TeacherModel(make_policy(make_small_student(chat, seed=3), chat), MostLikely(20, len(chat.tokenizer)))
    distill, seen = DistillSettings(1.0, 0.0, "loss"), []
    for _ in range(8):
        experience, algorithm = taught(groups_of(policy), teacher, distill)
        seen.append(update_policy(policy, experience, algorithm, "s", Ranks())["distill/divergence"])
    assert seen[-1] < 0.5 * seen[0]
