"""Multi-turn rollouts: every trajectory is a coroutine that samples a turn, runs its calls and goes on.

One pump steps the sampler for all of them, so a trajectory that waits for its tool holds nobody back. Lockstep mode
waits until every live trajectory has asked for its next turn and serves them in a fixed order, so that a run repeats
exactly.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mentor import progress
from mentor.calls.arguments import ArgumentValidator
from mentor.calls.schemas import schemas_text
from mentor.chat import AssistantTurn, ChatFormat, ParsedCall, assistant_message
from mentor.sampling.sampler import Completion, Sampler, SamplingParams
from mentor.tools import Toolbox, ToolExecutor, error_text
from mentor.types import CallError, CallRecord, StopReason, Task, Tokens, ToolResult, Trajectory


@dataclass(frozen=True)
class RolloutLimits:
    """Bounds of one trajectory. max_tokens counts prompt, turns and tool output, as far as a turn is sampled after
    them; the last turn gets what is left.

    max_result_tokens: of one tool result, a longer one is cut with a mark; None leaves it to the executor's limit.
    """

    max_turns: int = 8
    max_turn_tokens: int = 96
    max_tokens: int = 1024
    max_invalid_turns: int = 2
    max_result_tokens: int | None = None


@dataclass(frozen=True)
class RolloutRequest:
    """One trajectory to produce; `seed` decides all of its sampling. temperature 0 is greedy.

    run_calls: False ends it after the first turn, whose calls are recorded but not run; its tools need no code then.
    """

    task: Task
    seed: int
    group_id: str | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    run_calls: bool = True


class Environment:
    """Tools and a sampler, ready for rollouts; a context manager that owns the tools' event loop and workers."""

    def __init__(
        self, sampler: Sampler, toolbox: Toolbox, chat: ChatFormat, limits: RolloutLimits, lockstep: bool = False
    ) -> None:
        self.sampler, self.toolbox, self.chat = sampler, toolbox, chat
        self.limits, self.lockstep = limits, lockstep

    def __enter__(self) -> Environment:
        self._runner = asyncio.Runner()
        self._runner.run(self.toolbox.__aenter__())
        return self

    def __exit__(self, *exception: Any) -> None:
        try:
            self._runner.run(self.toolbox.__aexit__(*exception))
        finally:
            self._runner.close()

    def rollout(self, requests: Sequence[RolloutRequest]) -> list[Trajectory]:
        """One trajectory per request, in their order."""
        return self._runner.run(self._rollout(requests))

    async def _rollout(self, requests: Sequence[RolloutRequest]) -> list[Trajectory]:
        pump = _Pump(self.sampler, len(requests), self.lockstep)
        episodes = [_Episode(i, request, pump, self) for i, request in enumerate(requests)]
        tasks = [asyncio.create_task(episode.run()) for episode in episodes]
        pumping = asyncio.create_task(pump.run())
        try:
            done, _ = await asyncio.wait([pumping, *tasks], return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()  # a bug in the pump or in a trajectory ends the rollout with its traceback
            return [task.result() for task in tasks]
        finally:
            for task in (pumping, *tasks):
                task.cancel()


class _Pump:
    """Hands requests to the sampler and completions back to whoever asked."""

    def __init__(self, sampler: Sampler, live: int, lockstep: bool) -> None:
        self.sampler = sampler
        self.live = live  # trajectories that have not ended
        self.lockstep = lockstep
        self._asked: dict[int, tuple[Sequence[int], SamplingParams]] = {}
        self._futures: dict[str, asyncio.Future[Completion]] = {}
        self._ended: set[int] = set()
        self._wake = asyncio.Event()

    async def sample(self, index: int, token_ids: Sequence[int], params: SamplingParams) -> Completion:
        future = asyncio.get_running_loop().create_future()
        self._futures[str(index)] = future
        self._asked[index] = (token_ids, params)
        self._wake.set()
        return await future

    def end(self, index: int) -> None:
        if self.lockstep:
            self._ended.add(index)  # forgotten between two turns: when a tool returned must not show in the sampler
        else:
            self.sampler.end_session(str(index))
        self.live -= 1
        self._wake.set()

    async def run(self) -> None:
        while self.live:
            progress.beat()
            if not self.sampler.busy and not self._may_start():
                self._wake.clear()
                await self._wake.wait()
                continue
            if self._may_start():
                self._forget_ended()
                for index in sorted(self._asked):
                    self.sampler.add_request(str(index), *self._asked[index])
                self._asked.clear()
            for completion in self.sampler.step():
                self._futures.pop(completion.session).set_result(completion)
            await asyncio.sleep(0)  # trajectories run their calls and ask again between two steps
        self._forget_ended()

    def _forget_ended(self) -> None:
        for index in sorted(self._ended):
            self.sampler.end_session(str(index))
        self._ended.clear()

    def _may_start(self) -> bool:
        if self.lockstep:
            return len(self._asked) == self.live > 0
        return bool(self._asked)


class _Episode:
    """The state of one trajectory while it runs."""

    def __init__(self, index: int, request: RolloutRequest, pump: _Pump, environment: Environment) -> None:
        self.index, self.request, self.pump = index, request, pump
        self.toolbox, self.chat, self.limits = environment.toolbox, environment.chat, environment.limits
        self.tokens = Tokens()
        self.response: list[int] = []  # all turns and what followed each
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": request.task.question}]
        self.calls: list[CallRecord] = []
        self.hidden_calls = 0
        self.cut = False  # the last turn ran out of tokens

    async def run(self) -> Trajectory:
        if not self.request.run_calls:
            own = self.request.task.tools
            tools = self.toolbox.schemas_json(self.request.task) if own is None else schemas_text(own.schemas)
            return await self._run(tools, None)
        async with self.toolbox.lease(self.request.task) as executor:
            return await self._run(executor.toolset.schemas_json, executor)

    async def _run(self, tools: str, executor: ToolExecutor | None) -> Trajectory:
        self.tokens.append_prompt(self.chat.prompt_ids(self.request.task.question, tools))
        stop_reason = await (self._only_turn(tools) if executor is None else self._turns(executor))
        self.pump.end(self.index)
        if executor is not None:
            await executor.end_session(str(self.index))
        return Trajectory(
            task=self.request.task,
            messages=self.messages,
            tools=tools,
            stop_reason=stop_reason,
            calls=self.calls,
            tokens=self.tokens,
            response=self.chat.decode(self.response),
            eos=self.chat.eos_token,
            group_id=self.request.group_id,
            isolation=executor.isolation if executor is not None and executor.toolset.names else None,
            hidden_calls=self.hidden_calls,
        )

    async def _turns(self, executor: ToolExecutor) -> StopReason:
        invalid_turns = 0
        for turn in range(self.limits.max_turns):
            said = await self._sample(turn)
            if said is None or self.cut:
                return StopReason.LENGTH  # calls of a turn may be cut short with it, so they are not run
            if not said.calls:
                return StopReason.ANSWERED
            if turn + 1 == self.limits.max_turns:
                return StopReason.MAX_TURNS  # nothing could come of these calls, so they are not run
            records = [await self._execute(executor, call, turn) for call in said.calls]
            invalid_turns = 0 if any(record.well_formed for record in records) else invalid_turns + 1
            if invalid_turns >= self.limits.max_invalid_turns:
                return StopReason.INVALID_CALLS
            if not self._append_results(len(records)):
                return StopReason.LENGTH
        raise AssertionError("the last turn returns")

    async def _only_turn(self, tools: str) -> StopReason:
        """Its calls are recorded, those of a turn that was cut too: how much counts is for who judges them to say."""
        said = await self._sample(0)
        if said is not None:
            schemas = {schema["function"]["name"]: schema["function"]["parameters"] for schema in json.loads(tools)}
            self.calls = [
                CallRecord(0, call.name, call.arguments, False, _form_error(call, schemas)) for call in said.calls
            ]
        if said is None or self.cut:
            return StopReason.LENGTH
        return StopReason.CALLED if said.calls else StopReason.ANSWERED

    async def _sample(self, turn: int) -> AssistantTurn | None:
        """The next turn, which is `cut` where it ran out of tokens; None where there is no token left for one."""
        prompt = self.tokens.last_segment()
        budget = min(self.limits.max_turn_tokens, self.limits.max_tokens - len(prompt))
        if budget < 1:
            return None
        completion = await self.pump.sample(self.index, prompt, self._params(turn, budget))
        self.tokens.append_sampled(completion.token_ids, completion.logprobs)
        self.response += completion.token_ids
        said = self.chat.parse(completion.token_ids)
        self.messages.append(_assistant_message(said, self._text(completion), len(self.calls)))
        self.hidden_calls += said.hidden_calls
        self.cut = not completion.stopped
        return said

    def _text(self, completion: Completion) -> str:
        return self.chat.decode(completion.token_ids).removesuffix(self.chat.eos_token)

    def _params(self, turn: int, budget: int) -> SamplingParams:
        seed = derive_seed(self.request.seed, turn)
        return SamplingParams(budget, self.request.temperature, self.request.top_p, seed)

    async def _execute(self, executor: ToolExecutor, call: ParsedCall, turn: int) -> CallRecord:
        """Run one call; what the model is shown goes into the messages, what came of it into the records."""
        if call.problem is not None:
            result = ToolResult(error_text(CallError.MALFORMED, call.problem), False, CallError.MALFORMED)
        else:
            result = await executor.call(call.name or "", call.arguments, session=str(self.index))
        self.messages.append(
            {
                "role": "tool",
                "tool_call_id": f"call_{len(self.calls)}",
                "name": call.name or "",
                "content": self.chat.truncate(result.text, self.limits.max_result_tokens),
            }
        )
        progress.beat()
        record = CallRecord(turn, call.name, call.arguments, result.ok, result.error, result.seconds)
        self.calls.append(record)
        return record

    def _append_results(self, count: int) -> bool:
        """Append the last `count` results for the next turn; where they leave it no room append nothing, give False."""
        results = tuple((message["name"], message["content"]) for message in self.messages[-count:])
        prompt = self.chat.next_prompt(self.tokens, results)
        fits = len(prompt) < self.limits.max_tokens
        if fits:
            self.tokens.append_prompt(prompt)
            self.response += self.chat.tool_ids(results)
        return fits


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from its parts, the same on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _form_error(call: ParsedCall, schemas: Mapping[str, dict[str, Any]]) -> CallError:
    """What is wrong with the form of a call that is not run. schemas: tool name -> its parameters."""
    if call.problem is not None or call.name is None:
        return CallError.MALFORMED
    if call.name not in schemas:
        return CallError.UNKNOWN_TOOL
    fits = ArgumentValidator(schemas[call.name]).problem(call.arguments) is None
    return CallError.NOT_RUN if fits else CallError.INVALID_ARGUMENTS


def _assistant_message(said: AssistantTurn, text: str, first_call: int) -> dict[str, Any]:
    """The turn in the OpenAI shape; one with a malformed call, which that shape cannot hold, keeps its text whole."""
    if any(call.problem for call in said.calls):
        return {"role": "assistant", "content": text}
    return assistant_message(said.content, said.reasoning, said.calls, first_call)
