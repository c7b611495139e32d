"""Trajectories whose later turns are prompted without earlier thinking: several segments, one trajectory."""

from dataclasses import replace

import pytest
import torch

from mentor.algorithm.advantage import AdvantageSettings
from mentor.algorithm.batch import supervised_batch
from mentor.algorithm.loss import LossSettings
from mentor.chat import ChatFormat
from mentor.chat.certificate import certify
from mentor.chat.messages import make_call
from mentor.environment import Environment, RolloutLimits, RolloutRequest
from mentor.errors import InputError
from mentor.policy.ranks import Ranks
from mentor.policy.supervised import supervised_loss
from mentor.rl.advantages import assign_advantages
from mentor.rl.experience import gather_experience
from mentor.rl.reward_shaping import subtract_kl, subtract_overlong
from mentor.rl.settings import AlgorithmSettings, ShapingSettings, UpdateSettings
from mentor.rl.update import update_policy
from mentor.sampling import TransformersSampler
from mentor.tools import Toolbox, Toolset
from mentor.types import RewardBreakdown, StopReason, Task, Tokens, Trajectory, TrajectoryGroup
from tests.fixtures.chat_templates import OPENS_THINKING, THINKING, with_template
from tests.fixtures.policies import gradients_of, make_policy
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.samplers import recomputed
from tests.fixtures.students import make_small_student

END = "<|im_end|>"
TASK = Task("t", "What is 2 plus 3, plus 4?", ("9",), "calculator")


def call(a, b):
    return f'<tool_call>\n{{"name": "add", "arguments": {{"a": {a}, "b": {b}}}}}\n</tool_call>'


SAID = [
    f"<think>\nAdd 2 and 3.\n</think>\n\n{call(2, 3)}{END}",
    f"{call(5, 4)}{END}",
    f"<think>\nDone.\n</think>\n\nThe answer is \\boxed{{9}}.{END}",
]


@pytest.fixture(scope="module")
def strip(chat) -> ChatFormat:
    return with_template(chat, THINKING, think_history="strip")


def roll_out(chat, sampler, limits=None, temperature=1.0, count=1) -> list[Trajectory]:
    limits = limits or RolloutLimits(max_turn_tokens=64, max_tokens=512)
    with Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, limits) as environment:
        return environment.rollout([RolloutRequest(TASK, seed=i, temperature=temperature) for i in range(count)])


def worked() -> list[dict]:
    """The conversation of SAID as a teacher's messages."""

    def turn(content, thinking, *calls):
        message = {"role": "assistant", "content": content}
        message |= {"reasoning_content": thinking} if thinking else {}
        return message | ({"tool_calls": list(calls)} if calls else {})

    def result(number, text):
        return {"role": "tool", "tool_call_id": f"call_{number}", "name": "add", "content": text}

    return [
        {"role": "user", "content": TASK.question},
        turn("", "Add 2 and 3.", make_call("add", {"a": 2, "b": 3})),
        result(0, "5"),
        turn("", "Add 4.", make_call("add", {"a": 5, "b": 4}, 1)),
        result(1, "9"),
        turn("The answer is \\boxed{9}.", "Done."),
    ]


# --- the record ------------------------------------------------------------------------------------------------------


def make_segments(*segments):
    """Segments as ids, of which the second half is sampled."""
    tokens = Tokens()
    for ids in segments:
        half = len(ids) // 2
        tokens.append_prompt(ids[:half])
        tokens.append_sampled(ids[half:], [-3.0] * (len(ids) - half))
    return tokens


# --- prompts without earlier thinking --------------------------------------------------------------------------------


def test_later_turns_do_not_see_earlier_thinking_and_what_was_sampled_is_trained_on(strip):
    sampler = RecordingSampler(strip, {"0": SAID})
    (trajectory,) = roll_out(strip, sampler)
    assert trajectory.stop_reason is StopReason.ANSWERED and [c.ok for c in trajectory.calls] == [True, True]
    assert trajectory.messages[1]["reasoning_content"] == "Add 2 and 3."
    first, second = trajectory.tokens.segments()
    prompt = strip.decode(list(strip.prompt_ids(TASK.question, trajectory.tools)))
    glue = "\n<|im_start|>user\n<tool_response>\n{}\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    assert strip.decode(first.token_ids) == prompt + SAID[0]
    # the second turn has no thinking: the third goes on from it in one segment
    assert strip.decode(second.token_ids) == (
        prompt + call(2, 3) + END + glue.format(5) + SAID[1] + glue.format(9) + SAID[2]
    )
    trained = [[t for t, bit in zip(s.token_ids, s.loss_mask, strict=True) if bit] for s in (first, second)]
    assert trained == [strip.encode(SAID[0]), strip.encode(SAID[1]) + strip.encode(SAID[2])]
    assert [length for _, length in sampler.order] == [
        len(strip.encode(text)) for text in (prompt, prompt + call(2, 3) + END + glue.format(5))
    ] + [len(second) - len(strip.encode(SAID[2]))]
    assert trajectory.response == SAID[0] + glue.format(5) + SAID[1] + glue.format(9) + SAID[2]


def test_kept_thinking_is_one_segment(chat):
    keep = with_template(chat, THINKING)
    (trajectory,) = roll_out(keep, RecordingSampler(keep, {"0": SAID}))
    assert trajectory.tokens.starts == [0] and "Add 2 and 3." in keep.decode(trajectory.tokens.last_segment())


def test_the_limit_bounds_each_prompt_and_not_the_thinking_before_it(strip):
    (free,) = roll_out(strip, RecordingSampler(strip, {"0": SAID}))
    longest = free.tokens.longest
    assert longest < len(free.tokens)
    (tight,) = roll_out(strip, RecordingSampler(strip, {"0": SAID}), RolloutLimits(max_tokens=longest))
    assert tight.tokens == free.tokens
    before = longest - len(strip.encode(SAID[2]))
    (short,) = roll_out(strip, RecordingSampler(strip, {"0": SAID}), RolloutLimits(max_tokens=before))
    assert short.stop_reason is StopReason.LENGTH and short.turns == 2


@pytest.mark.parametrize("template", [THINKING, OPENS_THINKING])
def test_a_format_that_strips_is_certified(chat, template):
    certificate = certify(with_template(chat, template, think_history="strip"))
    assert certificate.failures == [] and certificate.thinking == "kept"
    assert set(certificate.skipped.values()) == {"the format has no marks_in_text"}  # no token of its own for `<think>`


def test_thinking_that_the_prompt_opens_leaves_it_with_the_turn(chat):
    opening = with_template(chat, OPENS_THINKING, think_history="strip")
    tokens = opening.render(Trajectory(TASK, worked(), "[]", StopReason.ANSWERED, []))
    assert len(tokens.starts) == 3
    for segment in tokens.segments():
        text = opening.decode(segment.token_ids)
        assert text.count("<think>") == text.count("</think>") == 1
        assert (
            f"<|im_start|>assistant\n{call(2, 3)}{END}" in text or segment.token_ids == tokens.segments()[0].token_ids
        )


def test_a_prompt_whose_opening_cannot_be_taken_out_is_refused(chat):
    merged = with_template(chat, OPENS_THINKING)
    opening = merged._open_turn

    class Glued(ChatFormat):
        def encode(self, text):
            return [1] if text == opening else super().encode(text)

    with pytest.raises(InputError, match="set model.think_history=keep"):
        Glued(merged.tokenizer, think_history="strip")


# --- training --------------------------------------------------------------------------------------------------------


def make_algorithm(update, kl_coef=0.0):
    shaping = ShapingSettings(10, kl_coef=kl_coef, kl_estimator="k1")
    return AlgorithmSettings(AdvantageSettings("group", False), shaping, LossSettings(0.2, 0.28), update, prompts=1)


def make_group(rewards):
    """Trajectories of one, two and one segments."""
    records = [make_segments([9, 8, 7, 6]), make_segments([1, 2, 3, 4], [5, 6, 7, 8, 9, 10]), make_segments([4, 5])]
    trajectories = [Trajectory(TASK, [], "[]", StopReason.ANSWERED, [], record) for record in records]
    return TrajectoryGroup(TASK, trajectories, [RewardBreakdown(reward, {}) for reward in rewards])


class Reference:
    def logprobs(self, batch):
        return torch.where(batch.loss_mask, -3.5, 0.0)


def test_a_trajectory_has_one_advantage_one_kl_and_one_minibatch(student, chat):
    group = make_group([1.0, 0.5, 0.0])
    algorithm = make_algorithm(UpdateSettings(3, 10, epochs=2, loss_mean="sequence"), kl_coef=0.1)
    experience = gather_experience([group], make_policy(student, chat), Reference(), 0, algorithm, "seed")
    assert experience.tokens.trajectories.tolist() == [0, 1, 1, 2] and len(experience.members) == 3
    # k1 is sampler - reference = 0.5 a token: 2, 2 + 3 and 1 tokens
    assert subtract_kl(experience, algorithm.shaping) == {"policy/kl": pytest.approx(0.5)}
    parts = [breakdown.parts["kl"] for breakdown in group.rewards]
    assert parts == pytest.approx([-0.1, -0.25, -0.05])
    assign_advantages([group], algorithm.advantage)
    seen = []
    for part in experience.minibatches(algorithm, "s"):
        seen.append(sorted(set(part.trajectories.tolist())))
        assert len(part) == (2 if seen[-1] == [1] else 1) and part.weights.sum().item() == pytest.approx(1.0)
    assert sorted(seen[:3]) == sorted(seen[3:]) == [[0], [1], [2]]


def test_the_overlong_penalty_looks_at_the_longest_segment():
    group = make_group([1.0, 1.0, 1.0])
    subtract_overlong([group], ShapingSettings(max_tokens=8, overlong_buffer_tokens=4))
    assert [breakdown.total for breakdown in group.rewards] == [1.0, 0.5, 1.0]  # 6 of 8 tokens: half the buffer


@pytest.mark.parametrize("loss_mean", ["token", "sequence", "constant"])
def test_the_update_is_the_sum_over_segments_worked_out_by_hand(chat, loss_mean):
    group = make_group([1.0, 0.5, 0.0])
    policy = make_policy(make_small_student(chat), chat, micro_batch_tokens=6)  # segments in several forwards
    algorithm = make_algorithm(UpdateSettings(minibatches=1, max_tokens=10, loss_mean=loss_mean))
    experience = gather_experience([group], policy, None, 0, algorithm, "seed")
    sampled_at = policy.logprobs(experience.tokens) - 0.05  # a ratio of e^0.05, inside the clip
    experience = replace(experience, sampler_logprobs=sampled_at)
    assign_advantages([group], AdvantageSettings("group", normalize_std=False))
    assert group.advantages == [0.5, 0.0, -0.5]
    group.turn_advantages = [[0.5], [0.4, -0.1], [-0.75]]  # so that the one of two segments counts
    stats = update_policy(policy, experience, algorithm, "s", Ranks())

    model = make_small_student(chat)
    weights = {  # of a token of the first, the second (3 segments' tokens: 2 + 3) and the third trajectory
        "token": [1 / 8, 1 / 8, 1 / 8],
        "sequence": [1 / 3 / 2, 1 / 3 / 5, 1 / 3 / 1],
        "constant": [1 / 30, 1 / 30, 1 / 30],
    }[loss_mean]
    rows = [([9, 8], [7, 6], 0, 0.5), ([1, 2], [3, 4], 1, 0.4), ([5, 6, 7], [8, 9, 10], 1, -0.1), ([4], [5], 2, -0.75)]
    total = torch.zeros(())
    for prompt, sampled, owner, advantage in rows:
        logits = model(input_ids=torch.tensor([prompt + sampled])).logits[0, len(prompt) - 1 : -1]
        own = torch.log_softmax(logits, -1).gather(1, torch.tensor(sampled)[:, None])[:, 0]
        ratio = torch.exp(own - (own.detach() - 0.05))
        total = total - weights[owner] * advantage * ratio.sum()
    total.backward()
    assert stats["policy/loss"] == pytest.approx(total.item(), rel=1e-4, abs=1e-6)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    assert stats["policy/grad_norm"] == pytest.approx(norm.item(), rel=1e-4)
    ours = gradients_of(policy)
    for name, parameter in model.named_parameters():
        assert torch.allclose(ours[name], parameter.grad, rtol=1e-3, atol=1e-6), name


def test_a_student_taught_on_stripped_turns_samples_what_it_was_taught_under_the_same_prompts(strip):
    toolset = Toolset.builtin("calculator")
    lesson = strip.render(Trajectory(TASK, worked(), toolset.schemas_json, StopReason.ANSWERED, []))
    assert len(lesson.starts) == 3
    policy = make_policy(make_small_student(strip), strip)
    batch = supervised_batch(lesson.segments(), strip.pad_id)
    for _ in range(60):
        loss = policy.update(batch, supervised_loss)["loss/train"]
    assert loss < 0.05
    sampler = TransformersSampler(policy.model, strip.end_ids, shared=True)
    (greedy,) = roll_out(strip, sampler, temperature=0.0)
    assert greedy.messages[1:] == worked()[1:]
    assert (greedy.tokens.token_ids, greedy.tokens.loss_mask) == (lesson.token_ids, lesson.loss_mask)
    assert greedy.tokens.starts == lesson.starts

    sampled = roll_out(strip, sampler, temperature=1.5, count=8)
    assert sum(len(trajectory.tokens.starts) > 1 for trajectory in sampled) > 2
    for trajectory in [greedy, *sampled]:
        temperature = 1.0 if trajectory is greedy else 1.5
        for segment in trajectory.tokens.segments():
            ids, mask = segment.token_ids, segment.loss_mask
            own = [0.0] + recomputed(policy.model, ids, len(ids) - 1, temperature)
            expected = [value for value, bit in zip(own, mask, strict=True) if bit]
            found = [value for value, bit in zip(segment.logprobs, mask, strict=True) if bit]
            assert found == pytest.approx(expected, abs=1e-3)
