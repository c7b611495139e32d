"""The embedded rollout engine: continuous batching over a transformers model, KV cache kept across turns.

Every decode step runs all decoding sessions. A session that finished its turn leaves at once; while its tool runs it
keeps its slot of the KV cache; its next turn is prefilled from the first new token on. Equal prompts (the group of one
task) are prefilled once and copied. Each request draws its uniform numbers from its own seed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from mentor.errors import SamplerError
from mentor.policy.lm_head import products, rounded_head
from mentor.policy.logits import read_logit_map
from mentor.policy.lora import pushed_name
from mentor.sampling.cached_forward import CachedForward
from mentor.sampling.checksum import Checksums
from mentor.sampling.packed_rows import NewTokens, shared_length
from mentor.sampling.sampler import Completion, SamplingParams, check_request, check_scoring
from mentor.sampling.token_sampling import sample_tokens
from mentor.timer import timed_part


@dataclass(eq=False)
class _SessionState:
    """`cached` positions of `tokens` are in `slot` of the KV cache; `sampled` are those of the running request."""

    name: str
    tokens: list[int]
    slot: int | None = None
    cached: int = 0
    params: SamplingParams | None = None
    uniforms: list[float] = field(default_factory=list)
    sampled: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


class TransformersSampler:
    """Implements `Sampler` on a causal language model whose layers attend to all tokens or to a sliding window.

    max_running: slots of the KV cache, so trajectories alive at once; more wait. Where every slot belongs to a session
    without a request, these sessions lose them and are prefilled again with their next request. end_ids: the tokens
    that end a turn. max_tokens: of one session. shared: the model is the policy's, so there are no weights to load.
    `step` sets it to evaluation mode.
    Raises SamplerError for a model with layers of another kind. Keys and values outside a window are kept too.
    """

    takes_adapter = False  # a policy's adapters are in the model that it shares
    outputs: Sequence[int] = ()

    def __init__(
        self,
        model: PreTrainedModel,
        end_ids: Collection[int],
        max_running: int = 256,
        dtype: torch.dtype = torch.float32,
        max_tokens: int | None = None,
        shared: bool = False,
    ) -> None:
        self._forward = CachedForward(model, max_running, dtype)
        self.model = model
        self._config = model.config.get_text_config(decoder=True)
        self.end_ids = end_ids
        self.max_running = max_running
        self.dtype = dtype
        self.max_tokens = max_tokens
        self.shared = shared
        self.device = next(model.parameters()).device
        self._logit_map = read_logit_map(model)
        self._sessions: dict[str, _SessionState] = {}
        self._new_cache()

    def _new_cache(self) -> None:
        self._forward.forget()
        self._owner: list[_SessionState | None] = [None] * self.max_running
        self._running = 0  # slots [0, running) are decoding
        self._waiting: list[_SessionState] = []  # requests whose new tokens are not cached yet

    @property
    def engines(self) -> list[TransformersSampler]:
        return [self]

    @property
    def vocab_size(self) -> int:
        return int(self._config.vocab_size)

    @property
    def busy(self) -> bool:
        return self._running > 0 or bool(self._waiting)

    def add_request(self, session: str, token_ids: Sequence[int], params: SamplingParams) -> None:
        known = self._sessions.get(session) or _SessionState(session, [])
        if known.params is not None:
            raise SamplerError(f"session {session} already has a running request")
        check_request(session, token_ids, params, self.max_tokens, self.vocab_size)
        self._sessions[session] = known
        # What was cached holds up to the first difference; at least the last token is computed, to sample after it.
        known.cached = min(known.cached, shared_length(known.tokens, token_ids[:-1]))
        known.tokens = list(token_ids)
        known.params, known.sampled, known.logprobs = params, [], []
        generator = torch.Generator().manual_seed(params.seed)
        known.uniforms = torch.rand(params.max_tokens, generator=generator, dtype=torch.float64).tolist()
        self._waiting.append(known)

    @torch.inference_mode()
    def step(self) -> list[Completion]:
        if self.model.training:
            self.model.eval()
        finished: list[_SessionState] = []
        if self._waiting and not self._running:
            self._make_room()
        ready = self._ready() if self._waiting else 0
        if ready and ready * 4 >= self._running:
            with timed_part("prefill"):
                finished += self._prefill()
        if self._running:
            with timed_part("decode"):
                finished += self._decode()
        return [self._complete(session) for session in finished]

    def end_session(self, session: str) -> None:
        known = self._sessions.get(session)
        if known is None:
            return
        if known.params is not None:
            raise SamplerError(f"session {session} ended while its request runs")
        del self._sessions[session]
        if known.slot is not None:
            self._owner[known.slot] = None

    @torch.inference_mode()
    def logprobs(self, token_ids: Sequence[int], count: int, temperature: float) -> list[float]:
        """Compute by one forward without the KV cache."""
        self._must_be_idle("logprobs were asked for")
        check_scoring(token_ids, count, self.max_tokens)
        self.model.eval()
        ids = torch.tensor([list(token_ids)], device=self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            hidden = self.model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0, -count - 1 : -1]
        scores = torch.log_softmax(self._logits(hidden) / temperature, dim=-1)
        found: list[float] = scores.gather(1, ids[0, -count:, None])[:, 0].tolist()
        return found

    def sleep(self) -> None:
        self._must_be_idle("sleep was asked for")
        self._sessions.clear()
        self._new_cache()

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        self._must_be_idle("new weights came")
        if not self.shared:
            own = {pushed_name(name): value for name, value in self.model.named_parameters()}
            with torch.no_grad():
                for name, value in weights:
                    if name not in own:
                        raise SamplerError(
                            f"weight {name} is not one of the sampler's model: choose sampler.placement=colocated"
                        )
                    own[name].copy_(value)
        self._sessions.clear()
        self._new_cache()

    def checksums(self) -> dict[str, int] | None:
        if self.shared:
            return None
        sums = Checksums(self.dtype)
        for name, value in self.model.named_parameters():
            sums.add(pushed_name(name), value)
        return sums.parts()

    def close(self) -> None:
        self._sessions.clear()
        self._new_cache()

    def _must_be_idle(self, what: str) -> None:
        if self.busy:
            raise SamplerError(f"{what} while requests run")

    # --- one forward each --------------------------------------------------------------------------------------------

    def _prefill(self) -> list[_SessionState]:
        """Prefill the new tokens of waiting sessions, equal prompts once; sample one token each."""
        ready = self._take_slots()
        leaders: dict[tuple[int, ...] | str, _SessionState] = {}
        leader_of = [
            leaders.setdefault(tuple(session.tokens) if session.cached == 0 else session.name, session)
            for session in ready
        ]
        unique = list(leaders.values())
        new = [NewTokens(_slot(session), session.cached, session.tokens[session.cached :]) for session in unique]
        logits = self._logits(self._forward.prefill(new))
        for session, leader in zip(ready, leader_of, strict=True):
            session.cached = len(session.tokens)
            if session is not leader:
                self._forward.cache.copy_row(_slot(leader), _slot(session), session.cached)
        place = {session.name: row for row, session in enumerate(unique)}
        finished = self._sample(ready, logits[[place[leader.name] for leader in leader_of]])
        for session in ready:
            if session not in finished:
                self._move(session, self._running)
                self._running += 1
        return finished

    def _ready(self) -> int:
        """Count the waiting sessions that a prefill would take: those with a slot, and as many as slots are free."""
        without = sum(session.slot is None for session in self._waiting)
        return len(self._waiting) - without + min(without, self._owner.count(None))

    def _make_room(self) -> None:
        """Where only sessions without a request hold slots, free as many as requests wait for one.

        Otherwise nothing would run: in lockstep these sessions ask again only when the waiting ones are done.
        """
        if self._ready():
            return
        idle = [owner for owner in self._owner if owner is not None]
        for session in idle[: len(self._waiting)]:
            self._owner[_slot(session)] = None
            session.slot, session.cached = None, 0

    def _take_slots(self) -> list[_SessionState]:
        """Take the waiting sessions that have a slot or get a free one now; the others stay waiting."""
        free = (slot for slot, owner in enumerate(self._owner) if owner is None and slot >= self._running)
        ready, left = [], []
        for session in self._waiting:
            if session.slot is None:
                slot = next(free, None)
                if slot is None:
                    left.append(session)
                    continue
                session.slot, self._owner[slot] = slot, session
            ready.append(session)
        self._waiting = left
        return ready

    def _decode(self) -> list[_SessionState]:
        """Sample one token for every decoding session; return those that are done."""
        rows = [owner for owner in self._owner[: self._running] if owner is not None]
        hidden = self._forward.decode([session.tokens[-1] for session in rows], [session.cached for session in rows])
        for session in rows:
            session.cached += 1
        finished = self._sample(rows, self._logits(hidden))
        for session in finished:
            self._running -= 1
            self._move(session, self._running)
        return finished

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Compute logits (n, V) float32 as the policy does; hidden: (n, H)."""
        head = rounded_head(self.model.get_output_embeddings().weight, self.dtype)
        return self._logit_map(products(hidden, head, self.dtype))

    def _sample(self, sessions: list[_SessionState], logits: torch.Tensor) -> list[_SessionState]:
        """Append one sampled token to each session; return those that are done. logits: (B, V) float32."""
        params = [session.params for session in sessions if session.params is not None]
        temperature = torch.tensor([p.temperature for p in params], device=self.device)
        uniforms = torch.tensor([s.uniforms[len(s.sampled)] for s in sessions], dtype=torch.float64, device=self.device)
        top_p = torch.tensor([p.top_p for p in params], device=self.device)
        top_k = torch.tensor([p.top_k or logits.shape[1] for p in params], device=self.device)
        tokens, logprobs = sample_tokens(logits, temperature, top_p, top_k, uniforms)
        finished = []
        for session, p, token, logprob in zip(sessions, params, tokens.tolist(), logprobs.tolist(), strict=True):
            session.sampled.append(token)
            session.tokens.append(token)
            session.logprobs.append(logprob)
            if token in self.end_ids or len(session.sampled) == p.max_tokens:
                finished.append(session)
        return finished

    def _complete(self, session: _SessionState) -> Completion:
        session.params = None
        stopped = session.sampled[-1] in self.end_ids
        return Completion(session.name, session.sampled, session.logprobs, stopped)

    def _move(self, session: _SessionState, slot: int) -> None:
        """Move a session's cache into `slot`; a session that is there takes its old slot."""
        old, other = _slot(session), self._owner[slot]
        if old == slot:
            return
        if other is None:
            self._forward.cache.copy_row(old, slot, session.cached)
        else:
            self._forward.cache.swap_rows(old, slot, max(session.cached, other.cached))
            other.slot = old
        self._owner[old], self._owner[slot] = other, session
        session.slot = slot


def _slot(session: _SessionState) -> int:
    if session.slot is None:
        raise SamplerError(f"session {session.name} has no slot of the KV cache")
    return session.slot
