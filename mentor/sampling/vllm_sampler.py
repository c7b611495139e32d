"""The vLLM rollout engine: one request per turn, batched continuously by vLLM, over its prefix cache.

A later turn of a session is a new request whose prefix is cached, as are the equal prompts of a group. The engine runs
in this process (colocated with the policy) or in a separate one, on other GPUs (`engine_group`). Written for vLLM 0.32,
whose `LLMEngine.step` makes text and objects of every token; token ids are read from its engine core instead.
Not run on a GPU yet: `sleep` and waking, and the choice of GPUs of a separate engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mentor import progress
from mentor.errors import SamplerError
from mentor.sampling.checksum import wrapped
from mentor.sampling.sampler import Completion, SamplingParams, check_request, check_scoring
from mentor.sampling.vllm_engine import VllmEngine, VllmSettings
from mentor.sampling.vllm_failures import short_reason


@dataclass
class _Request:
    """A request to the engine; `session` is None where a token is only scored."""

    session: str | None
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


class VllmSampler:
    """Implements `Sampler`. settings.max_running: requests decoded at once, more wait. end_ids: what ends a turn.

    settings.lora_rank: the policy has adapters; they are pushed alone, into the worker's memory, and requests are
    computed with them and the base apart. Before the first push they are computed with the base.

    Raises SamplerError for a model that vLLM cannot run, and for what fails inside the engine; then only `close` works.
    """

    def __init__(self, settings: VllmSettings, end_ids: Collection[int]) -> None:
        self.settings, self.end_ids, self.dtype = settings, end_ids, settings.dtype
        self._running: set[str] = set()
        self._requests: dict[str, _Request] = {}  # by vLLM's name for them
        self._asked = 0
        self._asleep = False
        self.takes_adapter = settings.lora_rank > 0
        self._adapted = False  # an adapter was pushed
        self._loads = "mentor_load_adapter" if self.takes_adapter else "mentor_load"  # in the worker
        self._failure: str | None = None
        self._engine: VllmEngine | None = VllmEngine(settings)
        self._on_gpu = torch.cuda.is_available()
        try:
            with self.engine_at_work() as engine:
                engine.collective_rpc("mentor_prepare")
            # A layer that has no kernel on this machine fails in a forward pass only.
            self.logprobs([0, 0], 1, 1.0)
        except SamplerError as error:
            self.close()
            raise SamplerError(f"vLLM cannot run model.path={settings.model}: {error}") from error

    outputs: Sequence[int] = ()

    @property
    def engines(self) -> list[VllmSampler]:
        return [self]

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def add_request(self, session: str, token_ids: Sequence[int], params: SamplingParams) -> None:
        if session in self._running:
            raise SamplerError(f"session {session} already has a running request")
        if self._asleep:
            raise SamplerError(f"session {session} asks while the sampler sleeps; it wakes with its new weights")
        engine = self._working_engine()
        check_request(session, token_ids, params, self.settings.max_tokens, engine.core.model_config.get_vocab_size())
        tokens = list(token_ids)
        try:
            self._ask(
                _Request(session),
                tokens,
                max_tokens=params.max_tokens,
                temperature=params.temperature,
                top_p=params.top_p,
                top_k=params.top_k or 0,  # 0: all tokens
                seed=params.seed,
                stop_token_ids=list(self.end_ids),
                logprobs=0,  # of the sampled token
            )
        except Exception as error:
            raise SamplerError(f"session {session}: vLLM takes no such request: {short_reason(error)}") from error
        self._running.add(session)

    @property
    def has_output(self) -> bool:
        """Whether `step` returns at once, of an engine in another process."""
        return self._working_engine().has_output

    def step(self) -> list[Completion]:
        if not self._running:
            return []
        with self.engine_at_work():
            return [self._complete(request) for request in self._advance()]

    def end_session(self, session: str) -> None:
        if session in self._running:
            raise SamplerError(f"session {session} ended while its request runs")

    def logprobs(self, token_ids: Sequence[int], count: int, temperature: float) -> list[float]:
        """Score each token in a separate request, as its next token: at a temperature, vLLM does not score prompts.

        The requests read the prefix cache like any other, so a cache that kept old keys and values would show.
        """
        self._must_be_idle("logprobs were asked for")
        tokens = list(token_ids)
        check_scoring(tokens, count, self.settings.max_tokens)
        scored = [_Request(None) for _ in range(count)]
        with self.engine_at_work():
            for end, request in enumerate(scored, len(tokens) - count):
                wanted = [tokens[end]]
                self._ask(request, tokens[:end], max_tokens=1, temperature=temperature, logprob_token_ids=wanted)
            while self._requests:
                self._advance()
        return [request.logprobs[-1] for request in scored]

    def sleep(self) -> None:
        """On a GPU shared with the policy, free the memory of weights and KV cache until `load_weights`.

        A base that adapters belong to waits in the machine's memory, since it is not pushed again.
        """
        self._must_be_idle("sleep was asked for")
        if self._on_gpu and not self.settings.separate and not self._asleep:
            with self.engine_at_work() as engine:
                engine.sleep(level=1 if self.takes_adapter else 2)
            self._asleep = True

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        self._must_be_idle("new weights came")
        copies = Copies(weights, self.dtype)
        try:
            with self.engine_at_work() as engine:
                if self._asleep:
                    torch.cuda.empty_cache()  # memory that the update left cached would be missing to the engine
                    engine.wake_up(tags=["weights"])
                engine.collective_rpc(self._loads, args=(iter(copies),))
                if self._asleep:
                    engine.wake_up(tags=["kv_cache"])
        except SamplerError:
            if copies.failure is not None:
                raise copies.failure from None
            raise
        self._asleep = False
        self._adapted = self.takes_adapter
        self.forget()

    def load_files(self, folder: Path) -> None:
        """Load weights from a folder of safetensors files, in an engine of another process."""
        self._must_be_idle("new weights came")
        with self.engine_at_work() as engine:
            engine.collective_rpc(self._loads, args=(str(folder),))
        self._adapted = self.takes_adapter
        self.forget()

    def forget(self) -> None:
        """Drop the prefix cache."""
        self._must_be_idle("forgetting was asked for")
        with self.engine_at_work() as engine:
            if not engine.reset_prefix_cache():
                raise RuntimeError("the prefix cache is in use and was not dropped")

    def checksums(self) -> dict[str, int]:
        """Sum up the weights that the engine's layers compute with, read back from them (see `vllm_worker`)."""
        with self.engine_at_work() as engine:
            sums = engine.collective_rpc("mentor_checksums")  # of each worker's part
        return {part: wrapped(sum(own.get(part, 0) for own in sums)) for own in sums for part in own}

    def close(self) -> None:
        engine, self._engine = self._engine, None
        self._running.clear()
        self._requests.clear()
        if engine is not None:
            with suppress(Exception) if self._failure is not None else nullcontext():
                engine.close()

    def _ask(self, request: _Request, tokens: list[int], **params: Any) -> None:
        self._asked += 1
        self._working_engine().add(str(self._asked), tokens, self._adapted, **params)
        self._requests[str(self._asked)] = request

    def _advance(self) -> list[_Request]:
        """Run one step of the engine; return the requests that it finished."""
        finished = []
        for output in self._working_engine().step():
            request = self._requests[output.request_id]
            request.token_ids += output.new_token_ids
            if output.new_logprobs is not None:
                request.logprobs += output.new_logprobs.logprobs[:, -1].tolist()
            if output.finish_reason is not None:
                finished.append(self._requests.pop(output.request_id))
        return finished

    def _complete(self, request: _Request) -> Completion:
        assert request.session is not None
        self._running.remove(request.session)
        stopped = request.token_ids[-1] in self.end_ids
        return Completion(request.session, request.token_ids, request.logprobs, stopped)

    def _must_be_idle(self, what: str) -> None:
        if self._running:
            raise SamplerError(f"{what} while requests run")

    def _working_engine(self) -> VllmEngine:
        if self._engine is None or self._failure is not None:
            reason = "it is closed" if self._engine is None else self._failure
            raise SamplerError(f"the vLLM engine is not usable any more: {reason}")
        return self._engine

    @contextmanager
    def engine_at_work(self) -> Iterator[Any]:
        """Give access to vLLM's engine; leave the random numbers of this process as they are.

        An exception inside becomes a SamplerError, and the engine is not used again.
        """
        engine = self._working_engine()
        numbers = torch.get_rng_state()
        try:
            yield engine.core
        except Exception as error:
            self._failure = engine.reason(error)
            raise SamplerError(f"vLLM failed: {self._failure}") from error
        finally:
            torch.set_rng_state(numbers)


class Copies:
    """Copies of the weights in the engine's type, which keeps each until its layer is complete.

    failure: an exception of the iterator that they come from.
    """

    def __init__(self, weights: Iterable[tuple[str, torch.Tensor]], dtype: torch.dtype) -> None:
        self._weights, self._dtype = weights, dtype
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        try:
            for name, value in self._weights:
                progress.beat()
                copied = value.detach().to(self._dtype, copy=True)
                yield name, copied
        except Exception as error:
            self.failure = error
            raise
