"""Turns whose thinking has a limit: sampled in two requests, with what closes the thinking between them as context."""

from dataclasses import replace
from itertools import groupby

import pytest

from mentor.chat import ChatFormat
from mentor.environment import Environment, RolloutLimits, RolloutRequest
from mentor.sampling import Sampler, TransformersSampler
from mentor.tools import Toolbox, Toolset
from mentor.types import StopReason, Tokens, Trajectory
from tests.fixtures.chat_templates import OPENS_THINKING, THINKING, with_template
from tests.fixtures.policies import make_policy, policy_batch
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.rollouts import END, call, make_task, one, run
from tests.fixtures.samplers import needs_vllm, open_pair

CLOSE = "\n</think>\n\n"
ANSWER = "The answer is \\boxed{5}."
LIMITS = RolloutLimits(max_thinking_tokens=8)


@pytest.fixture(scope="module")
def opens(chat) -> ChatFormat:
    return with_template(chat, OPENS_THINKING)


def pieces(chat: ChatFormat, tokens: Tokens) -> list[tuple[bool, str]]:
    """The runs of the mask, with their texts."""
    found, position = [], 0
    for trained, run_of in groupby(tokens.loss_mask):
        end = position + len(list(run_of))
        found.append((trained, chat.decode(tokens.token_ids[position:end])))
        position = end
    return found


def test_open_thinking_is_closed_and_the_turn_goes_on(opens):
    (cut,), sampler = run(opens, {"0": ["Add them, then", call() + END, "5, so", ANSWER + END]}, LIMITS)
    glue = f"\n<|im_start|>user\n<tool_response>\n5\n</tool_response>{END}\n<|im_start|>assistant\n<think>\n"
    assert pieces(opens, cut.tokens)[1:] == [
        (True, "Add them, then"),
        (False, CLOSE),
        (True, call() + END),
        (False, glue),
        (True, "5, so"),
        (False, CLOSE),
        (True, ANSWER + END),
    ]
    assert cut.response == "".join(text for _, text in pieces(opens, cut.tokens)[1:])
    assert [message.get("reasoning_content") for message in cut.messages] == [None, "Add them, then", None, "5, so"]
    assert cut.stop_reason is StopReason.ANSWERED and cut.final_text == ANSWER
    assert [record.ok for record in cut.calls] == [True] and cut.turns == cut.cut_thoughts == 2
    assert all((logprob != 0.0) == bit for logprob, bit in zip(cut.tokens.logprobs, cut.tokens.loss_mask, strict=True))
    prompt = len(opens.prompt_ids("What is 2 plus 3?", cut.tools))
    thought = len(opens.encode("Add them, then"))
    asked = [length for _, length in sampler.order]
    assert asked[:2] == [prompt, prompt + thought + len(opens.encode(CLOSE))]
    assert asked[3] + len(opens.encode(ANSWER + END)) == len(cut.tokens)
    stored = Trajectory.from_dict(cut.to_dict())
    assert (stored.cut_thoughts, stored.tokens.loss_mask) == (2, cut.tokens.loss_mask)
    assert stored.turns == 2 and stored.calls_with_results()[0].result == "5"


def test_later_turns_are_sampled_without_earlier_cut_thinking_where_it_is_stripped(chat):
    strip = with_template(chat, OPENS_THINKING, think_history="strip")
    cut = one(strip, ["Add them, then", call() + END, "5, so", ANSWER + END], LIMITS)
    assert len(cut.tokens.starts) == 2
    first, second = cut.tokens.segments()
    prompt = strip.decode(list(strip.prompt_ids("What is 2 plus 3?", cut.tools)))
    assert pieces(strip, first) == [
        (False, prompt),
        (True, "Add them, then"),
        (False, CLOSE),
        (True, call() + END),
    ]
    shown = prompt.removesuffix("<think>\n") + call() + END + strip.decode(list(strip.tool_ids((("add", "5"),))))
    assert pieces(strip, second) == [(False, shown), (True, "5, so"), (False, CLOSE), (True, ANSWER + END)]


def test_a_turn_that_does_not_think_then_goes_on_as_it_is(chat, opens):
    closed = one(opens, [f"Easy{CLOSE}", ANSWER + END], LIMITS)
    assert pieces(opens, closed.tokens)[1:] == [(True, f"Easy{CLOSE}{ANSWER}{END}")]
    assert closed.final_text == ANSWER and closed.cut_thoughts == 0 and "cut_thoughts" not in closed.to_dict()
    never = one(chat, ["The answer is", " \\boxed{5}." + END], LIMITS)
    assert pieces(chat, never.tokens)[1:] == [(True, ANSWER + END)] and never.cut_thoughts == 0
    own = one(with_template(chat, THINKING), ["<think>\nAdd", ANSWER + END], LIMITS)
    assert pieces(chat, own.tokens)[1:] == [(True, "<think>\nAdd"), (False, CLOSE), (True, ANSWER + END)]


def test_what_is_left_of_a_turn_is_bounded_and_may_be_nothing(opens):
    asked = RecordedBudgets(opens, ["Hm, so what", ANSWER + END])
    thought, closing = len(opens.encode("Hm, so what")), len(opens.encode(CLOSE))
    limits = RolloutLimits(max_turn_tokens=60, max_thinking_tokens=thought)
    (cut,) = roll_out(opens, asked, limits, 1)
    assert asked.budgets == [thought, 60 - thought - closing] and cut.cut_thoughts == 1
    assert asked.seeds[0] != asked.seeds[1]
    asked = RecordedBudgets(opens, ["Hm, so what"])
    (short,) = roll_out(opens, asked, replace(limits, max_turn_tokens=thought + closing), 1)
    assert short.stop_reason is StopReason.LENGTH and short.cut_thoughts == 0 and asked.budgets == [thought]
    assert pieces(opens, short.tokens)[1:] == [(True, "Hm, so what")]


class RecordedBudgets:
    """Replays one trajectory's texts, and records what was asked."""

    def __init__(self, chat: ChatFormat, texts: list[str]) -> None:
        self._replay = RecordingSampler(chat, {"0": texts})
        self.budgets: list[int] = []
        self.seeds: list[int] = []

    def __getattr__(self, name):
        return getattr(self._replay, name)

    def add_request(self, session, token_ids, params):
        self.budgets.append(params.max_tokens)
        self.seeds.append(params.seed)
        self._replay.add_request(session, token_ids, params)


# --- sampled -----------------------------------------------------------------------------------------------------


def roll_out(chat: ChatFormat, sampler: Sampler, limits: RolloutLimits, count: int = 12, lockstep: bool = False):
    with Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, limits, lockstep) as environment:
        return environment.rollout([RolloutRequest(make_task(i), seed=i) for i in range(count)])


BOUNDED = RolloutLimits(max_turns=2, max_turn_tokens=24, max_thinking_tokens=6, max_tokens=256)


def bounded(chat: ChatFormat, sampler: Sampler) -> list[Trajectory]:
    """Twelve trajectories of which each thinks to the limit; checks their pieces."""
    done = roll_out(chat, sampler, BOUNDED, lockstep=True)
    closing = chat.encode(CLOSE)
    for trajectory in done:
        tokens, prompt = trajectory.tokens, len(chat.prompt_ids("What is 2 plus 3?", trajectory.tools))
        if trajectory.cut_thoughts:
            assert tokens.token_ids[prompt + 6 : prompt + 6 + len(closing)] == closing
            assert tokens.loss_mask[prompt : prompt + 7 + len(closing)] == [True] * 6 + [False] * len(closing) + [True]
            assert len(tokens) <= prompt + 24
    assert sum(trajectory.cut_thoughts for trajectory in done) >= 10
    return done


def check_policy(chat: ChatFormat, model, done: list[Trajectory], tolerance: float) -> None:
    policy = make_policy(model, chat, micro_batch_tokens=2000)
    batch = policy_batch([trajectory.tokens for trajectory in done], [0.0] * len(done), chat.pad_id)
    difference = (policy.logprobs(batch) - batch.sampler_logprobs).abs()
    assert float(difference[batch.loss_mask].max()) < tolerance
    assert float(difference[~batch.loss_mask].max()) == 0.0


def test_the_embedded_sampler_goes_on_behind_the_closed_thinking(opens, student):
    sampler = TransformersSampler(student, opens.end_ids, max_running=16)
    done = bounded(opens, sampler)
    check_policy(opens, student, done, 1e-4)
    again = roll_out(opens, TransformersSampler(student, opens.end_ids, max_running=4), BOUNDED, lockstep=True)
    assert [trajectory.tokens.token_ids for trajectory in again] == [t.tokens.token_ids for t in done]
    free = roll_out(opens, sampler, replace(BOUNDED, max_thinking_tokens=None))
    for trajectory, bound in zip(free, done, strict=True):
        prompt = bound.tokens.loss_mask.index(True)
        assert trajectory.tokens.token_ids[: prompt + 6] == bound.tokens.token_ids[: prompt + 6]


@pytest.mark.slow
@needs_vllm
def test_vllm_goes_on_behind_the_closed_thinking(opens, tmp_path):
    with open_pair("vllm", opens, tmp_path) as pair:
        check_policy(opens, pair.model, bounded(opens, pair.sampler), 1e-3)
