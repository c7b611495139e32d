"""Turns of many trajectories over one sampler: batched as they come, or in lockstep."""

import asyncio
import os
import signal
from functools import partial
from threading import Timer

import pytest
import torch

from mentor.environment import Environment, RolloutLimits, RolloutRequest
from mentor.environment.scheduler import TurnScheduler
from mentor.errors import SamplerError
from mentor.policy.ranks import Ranks
from mentor.sampling import SamplingParams, TransformersSampler
from mentor.sampling.engine_group import EngineGroup
from mentor.tools import Toolbox, ToolExecutor, Toolset
from mentor.types import StopReason
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.rollouts import END, LIMITS, call, make_task, run
from tests.fixtures.sampler_threads import open_silent, open_threads
from tests.fixtures.samplers import save_student


def test_a_slow_tool_holds_no_other_trajectory_back(chat, tmp_path):
    tools = tmp_path / "tools.py"
    tools.write_text(
        "import asyncio\n\nasync def wait(seconds: float) -> str:\n"
        '    """Wait.\n\n    Args:\n        seconds: how long\n    """\n'
        "    total = 0\n    for i in range(int(seconds * 3_000_000)):\n        total += i\n    return 'waited'\n"
    )
    slow, fast = ([call("wait", f'{{"seconds": {seconds}}}') + END, "Done." + END] for seconds in (1, 0))
    sampler = RecordingSampler(chat, {"0": slow, **{str(i): fast for i in range(1, 6)}})
    toolbox = Toolbox(Toolset.from_python(tools), partial(ToolExecutor, timeout_s=20, workers=2))
    with Environment(sampler, toolbox, chat, LIMITS) as env:
        trajectories = env.rollout([RolloutRequest(make_task(i), seed=i) for i in range(6)])
    assert all(trajectory.stop_reason is StopReason.ANSWERED for trajectory in trajectories)
    assert sampler.finished[-1] == "0" and sampler.finished.count("0") == 2


def test_lockstep_serves_every_turn_in_request_order(chat):
    done = "The answer is \\boxed{5}." + END
    script = {"0": [call() + END, done], "1": [done], "2": [call() + END, call() + END, done]}
    _, sampler = run(chat, script, lockstep=True)
    assert [session for session, _ in sampler.order] == ["0", "1", "2", "0", "2", "2"]


def test_lockstep_frees_sessions_between_turns_so_that_a_run_repeats(chat):
    done = "The answer is \\boxed{5}." + END
    script = {"0": [done], "1": [call() + END, done]}
    sampler = RecordingSampler(chat, script, delays={"1": 2})
    events = []
    ended, asked, stepped = sampler.end_session, sampler.add_request, sampler.step
    sampler.end_session = lambda session: events.append(("end", session)) or ended(session)
    sampler.add_request = lambda session, *rest: events.append(("ask", session)) or asked(session, *rest)
    sampler.step = lambda: events.append("step") or stepped()
    with Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, LIMITS, lockstep=True) as environment:
        environment.rollout([RolloutRequest(make_task(i), seed=i) for i in range(2)])
    first, second = [("ask", "0"), ("ask", "1"), "step", "step"], [("end", "0"), ("ask", "1"), "step", "step"]
    assert events == [*first, *second, ("end", "1")]


def test_a_turn_is_given_to_who_asked_for_it(chat):
    sampler = RecordingSampler(chat, {"0": ["one" + END], "1": ["two" + END, "three" + END]})

    async def trajectory(scheduler: TurnScheduler, index: int, turns: int) -> list[str]:
        said = []
        for _ in range(turns):
            completion = await scheduler.sample(index, [5], SamplingParams(max_tokens=9))
            said.append(chat.decode(completion.token_ids))
        scheduler.end(index)
        return said

    async def both() -> list[list[str]]:
        scheduler = TurnScheduler(sampler, lockstep=False)
        scheduler.begin(0)
        scheduler.begin(1)
        said = await asyncio.gather(trajectory(scheduler, 0, 1), trajectory(scheduler, 1, 2), scheduler.run())
        return said[:2]

    assert asyncio.run(both()) == [["one" + END], ["two" + END, "three" + END]]
    assert not sampler.busy


def test_a_cancelled_turn_runs_out_and_its_session_is_freed(chat):
    sampler = RecordingSampler(chat, {"0": ["long" + END], "1": ["a" + END, "b" + END]}, delays={"0": 4})
    freed = []
    ended = sampler.end_session
    sampler.end_session = lambda session: freed.append(session) or ended(session)

    async def both() -> None:
        scheduler = TurnScheduler(sampler, lockstep=False)
        running = asyncio.create_task(scheduler.run(for_ever=True))
        scheduler.begin(0)
        gone = asyncio.create_task(scheduler.sample(0, [5], SamplingParams(max_tokens=9)))
        await asyncio.sleep(0)
        scheduler.begin(1)
        await scheduler.sample(1, [5], SamplingParams(max_tokens=9))
        gone.cancel()
        scheduler.end(0)
        assert sampler.busy and not freed
        while sampler.busy:
            await asyncio.sleep(0)
        assert freed == ["0"] and scheduler.live == {1}
        assert chat.decode((await scheduler.sample(1, [5], SamplingParams(max_tokens=9))).token_ids) == "b" + END
        running.cancel()

    asyncio.run(both())


@pytest.mark.parametrize("lockstep", [True, False])
def test_a_sampler_in_other_processes_gives_the_same_trajectories(chat, tmp_path, lockstep):
    model = save_student(chat, tmp_path)
    requests = [RolloutRequest(make_task(i), seed=i) for i in range(12)]
    toolbox = Toolbox(Toolset.builtin("calculator"))
    limits = RolloutLimits(max_turn_tokens=9, max_tokens=1000)
    with Environment(TransformersSampler(model, chat.end_ids), toolbox, chat, limits, lockstep) as environment:
        alone = environment.rollout(requests)
    with open_threads(2, tmp_path, chat.end_ids, max_tokens=1000) as engines:
        group = EngineGroup(engines, torch.float32, Ranks())
        with Environment(group, toolbox, chat, limits, lockstep) as environment:
            apart, again = environment.rollout(requests), environment.rollout(requests)
    for found in (apart, again):
        assert [entry.tokens.token_ids for entry in found] == [entry.tokens.token_ids for entry in alone]


def test_a_rollout_ends_with_the_process_that_samples_for_it(chat):
    with (
        open_silent(chat.end_ids) as engine,
        Environment(
            EngineGroup([engine], torch.float32, Ranks()), Toolbox(Toolset.builtin("calculator")), chat, LIMITS
        ) as environment,
    ):
        Timer(0.2, os.kill, (engine._process.pid, signal.SIGKILL)).start()
        with pytest.raises(SamplerError, match="was ended by SIGKILL"):
            environment.rollout([RolloutRequest(make_task(), seed=0)])
