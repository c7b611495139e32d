"""One trajectory: sample a turn, run its calls, append their results, until an answer or a limit ends it.

Where the thinking of a turn has a limit, the turn is sampled in two requests. What closes the thinking between them was
not sampled, so it is context, and is never trained.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from mentor import progress
from mentor.calls.arguments import ArgumentValidator
from mentor.chat import AssistantTurn, ChatFormat, ParsedCall, assistant_message
from mentor.environment.requests import RolloutLimits, RolloutRequest, derive_seed
from mentor.environment.scheduler import TurnScheduler
from mentor.sampling.sampler import Completion, SamplingParams
from mentor.tools import Toolbox, ToolExecutor, Toolset, error_text
from mentor.types import CallError, CallRecord, StopReason, Tokens, ToolResult, Trajectory


class Episode:
    """The state of one trajectory while it runs.

    index: its place in the rollout, and its session's name. on_message: called with every turn and result.
    """

    def __init__(
        self,
        index: int,
        request: RolloutRequest,
        scheduler: TurnScheduler,
        toolbox: Toolbox,
        chat: ChatFormat,
        limits: RolloutLimits,
        on_message: Callable[[dict[str, Any]], None] = lambda message: None,
    ) -> None:
        self.index, self.request, self.scheduler = index, request, scheduler
        self.toolbox, self.chat, self.limits = toolbox, chat, limits
        self.tokens = Tokens()
        self.response: list[int] = []  # all turns and what followed each
        self.on_message = on_message
        self.messages = [*request.task.prompt, *(_said(message) for message in request.begun)]
        self.toolset = Toolset.none()  # of the prompt, once it is known
        self.first_turn = sum(message["role"] == "assistant" for message in self.messages)
        self.earlier_calls = _calls_of(self.messages)
        self.calls: list[CallRecord] = []
        self.hidden_calls = 0
        self.cut_thoughts = 0
        self.turn: list[int] = []  # the ids of the last turn
        self.out_of_tokens = False  # in the last turn
        scheduler.begin(index)

    async def run(self) -> Trajectory:
        """Produce the trajectory, with the task's own tools or the toolbox's."""
        try:
            return await self._run()
        except (Exception, asyncio.CancelledError):
            self.scheduler.end(self.index)
            raise

    async def _run(self) -> Trajectory:
        task = self.request.task
        if task.gold is not None or self.request.one_turn:
            if task.gold is not None or task.tools is None:
                self._start(self.toolbox.toolset(task))
            else:  # of a client, who runs the calls
                self._start(Toolset.listed(task.tools.schemas))
            stop_reason = await self._only_turn()
            self.scheduler.end(self.index)
            return self._trajectory(stop_reason, isolation=None)
        async with self.toolbox.lease(task) as executor:
            self._start(executor.toolset)
            try:
                stop_reason = await self._turns(executor)
            except asyncio.CancelledError:
                await executor.end_session(str(self.index))
                raise
            self.scheduler.end(self.index)
            await executor.end_session(str(self.index))
            return self._trajectory(stop_reason, executor.isolation if executor.toolset.names else None)

    def _start(self, toolset: Toolset) -> None:
        task, self.toolset = self.request.task, toolset
        self.tokens.append_prompt(self.chat.prompt_ids(task.question, toolset.schemas_json, task.earlier))
        calls_before = _calls_of(task.earlier)
        for turn, results in _turns(self.request.begun):
            ids = turn.get("token_ids") or self.chat.turn_ids(turn, calls_before)
            self.tokens.append_context(ids)
            self.tokens.append_prompt(self.chat.next_prompt(self.tokens, len(ids), results, calls_before))
            calls_before += len(results)

    def _say(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        self.on_message(message)

    async def _turns(self, executor: ToolExecutor) -> StopReason:
        """Run the multi-turn loop."""
        invalid_turns = 0
        for turn in range(self.limits.max_turns):
            said = await self._sample(turn)
            if said is None or self.out_of_tokens:
                return StopReason.LENGTH  # calls of a turn may be cut short with it, so they are not run
            if not said.calls:
                return StopReason.ANSWERED
            if turn + 1 == self.limits.max_turns:
                return StopReason.MAX_TURNS  # no turn is left to read the results, so the calls are not run
            records = await self._execute(executor, said.calls, turn)
            invalid_turns = 0 if any(record.well_formed for record in records) else invalid_turns + 1
            if invalid_turns >= self.limits.max_invalid_turns:
                return StopReason.INVALID_CALLS
            if not self._append_results(len(records)):
                return StopReason.LENGTH
        raise AssertionError("the last turn returns")

    async def _only_turn(self) -> StopReason:
        """Sample one turn and record its calls without running them, also where the turn ran out of tokens."""
        said = await self._sample(0)
        if said is not None:
            functions = [schema["function"] for schema in self.toolset.schemas]
            schemas = {function["name"]: function["parameters"] for function in functions}
            self.calls = [
                CallRecord(self.first_turn, *self._own_call(call), False, call_error(call, schemas))
                for call in said.calls
            ]
        if said is None or self.out_of_tokens:
            return StopReason.LENGTH
        return StopReason.CALLED if said.calls else StopReason.ANSWERED

    async def _sample(self, turn: int) -> AssistantTurn | None:
        """Sample and record the next turn; None where no token is left for one."""
        prompt = self.tokens.last_segment()
        budget = min(self.limits.max_turn_tokens, self.limits.max_tokens - len(prompt))
        if budget < 1:
            return None
        self.turn = []
        thinking = self.limits.max_thinking_tokens or budget
        completion = await self._request(prompt, min(thinking, budget), derive_seed(self.request.seed, turn))
        if not completion.stopped and thinking < budget:
            closing = self.chat.close_thinking(self.turn)
            left = budget - len(self.turn) - len(closing)
            if left > 0:
                self._append_closing(closing)
                seed = derive_seed(self.request.seed, turn, "after thinking")
                completion = await self._request([*prompt, *self.turn], left, seed)
        self.response += self.turn
        said = self.chat.parse(self.turn, self.toolset.schemas_json)
        text = self.chat.decode(self.chat.without_end(self.turn))
        self._say(turn_message(said, text, len(self.calls)))
        self.hidden_calls += said.hidden_calls
        self.out_of_tokens = not completion.stopped
        return said

    async def _request(self, prompt: list[int], budget: int, seed: int) -> Completion:
        """Sample and record the tokens of a turn, or of what is left of it."""
        request = self.request
        params = SamplingParams(budget, request.temperature, request.top_p, seed, request.top_k)
        completion = await self.scheduler.sample(self.index, prompt, params)
        self.tokens.append_sampled(completion.token_ids, completion.logprobs)
        self.turn += completion.token_ids
        return completion

    def _append_closing(self, closing: list[int]) -> None:
        """Record ids that close the turn's thinking, if any."""
        self.tokens.append_context(closing)
        self.turn += closing
        self.cut_thoughts += bool(closing)

    async def _execute(self, executor: ToolExecutor, calls: Sequence[ParsedCall], turn: int) -> list[CallRecord]:
        """Run the calls of a turn; append what the model is shown to the messages and the outcomes to the records."""
        well_formed = [(call.name or "", call.arguments) for call in calls if call.problem is None]
        results = iter(await executor.call_turn(well_formed, session=str(self.index)))
        place = self.first_turn + turn
        return [self._record(call, malformed(call) or next(results), place) for call in calls]

    def _record(self, call: ParsedCall, result: ToolResult, turn: int) -> CallRecord:
        self._say(
            {
                "role": "tool",
                "tool_call_id": f"call_{len(self.calls)}",
                "name": call.name or "",
                "content": self.chat.truncate(result.text, self.limits.max_result_tokens),
            }
        )
        progress.beat()
        record = CallRecord(turn, *self._own_call(call), result.ok, result.error, result.seconds)
        self.calls.append(record)
        return record

    def _own_call(self, call: ParsedCall) -> tuple[str | None, dict[str, Any]]:
        """Return name and arguments for the record of a call, which is compared with the teacher's."""
        return self.toolset.own_call(call.name, call.arguments)

    def _append_results(self, count: int) -> bool:
        """Append the last `count` results for the next turn. Where they leave it no room, append nothing: False."""
        results = tuple((message["name"], message["content"]) for message in self.messages[-count:])
        calls_before = self.earlier_calls + len(self.calls) - count
        prompt = self.chat.next_prompt(self.tokens, len(self.turn), results, calls_before)
        fits = len(prompt) < self.limits.max_tokens
        if fits:
            self.response += self.chat.after_turn(self.tokens.token_ids[-1], results, calls_before)
            self.tokens.append_prompt(prompt)
        return fits

    def _trajectory(self, stop_reason: StopReason, isolation: str | None) -> Trajectory:
        return Trajectory(
            task=self.request.task,
            messages=self.messages,
            tools=self.toolset.schemas_json,
            stop_reason=stop_reason,
            calls=self.calls,
            tokens=self.tokens,
            response=self.chat.decode(self.response),
            eos=self.chat.eos_token,
            group_id=self.request.group_id,
            isolation=isolation,
            hidden_calls=self.hidden_calls,
            cut_thoughts=self.cut_thoughts,
        )


def _said(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "token_ids"}


def _calls_of(messages: Sequence[dict[str, Any]]) -> int:
    return sum(len(message.get("tool_calls") or ()) for message in messages)


def _turns(messages: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], tuple[tuple[str, str], ...]]]:
    """Split turns with their results: yields each turn, and (tool name, text) of its results."""
    starts = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    for start, end in pairwise([*starts, len(messages)]):
        yield messages[start], tuple((message["name"], message["content"]) for message in messages[start + 1 : end])


def malformed(call: ParsedCall) -> ToolResult | None:
    """Return what the model is shown of a call that is none, None for a well-formed one."""
    if call.problem is None:
        return None
    return ToolResult(error_text(CallError.MALFORMED, call.problem), False, CallError.MALFORMED)


def call_error(call: ParsedCall, schemas: Mapping[str, dict[str, Any]]) -> CallError:
    """Say what is wrong with a call that is not run, NOT_RUN where nothing is. schemas: tool name -> its parameters."""
    if call.problem is not None or call.name is None:
        return CallError.MALFORMED
    if call.name not in schemas:
        return CallError.UNKNOWN_TOOL
    fits = ArgumentValidator(schemas[call.name]).problem(call.arguments) is None
    return CallError.NOT_RUN if fits else CallError.INVALID_ARGUMENTS


def turn_message(said: AssistantTurn, text: str, first_call: int) -> dict[str, Any]:
    """Write the turn in the OpenAI shape; a turn with a malformed call, which it cannot hold, keeps its whole text."""
    if any(call.problem for call in said.calls):
        return {"role": "assistant", "content": text}
    return assistant_message(said.content, said.reasoning, said.calls, first_call)
