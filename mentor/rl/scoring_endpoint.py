"""The teacher of on-policy distillation behind an endpoint: a vLLM server that scores the tokens of prompts."""

from __future__ import annotations

import torch

from mentor.algorithm.batch import TokenBatch
from mentor.endpoints.background import BackgroundEndpoint, Unanswered
from mentor.errors import StageError
from mentor.jsonl import Record
from mentor.policy.ranks import Ranks
from mentor.policy.teacher_model import TeacherScores


class ScoringEndpoint:
    """Implements `ScoringTeacher`. name: of the endpoint in messages. listed: most likely tokens wanted in each place.

    words: tokens of the tokenizer; the endpoint's model may have more rows. Each rank asks about every `ranks.size`-th
    row, a request each.
    """

    def __init__(self, endpoint: BackgroundEndpoint, name: str, ranks: Ranks, listed: int, words: int) -> None:
        self.endpoint, self.name, self.ranks = endpoint, name, ranks
        self.listed, self.words = min(listed, words), words

    def score(self, batch: TokenBatch) -> TeacherScores:
        """Raises StageError where a row has no answer, or one that lists other tokens than those of the tokenizer."""
        lengths, places = batch.lengths.tolist(), [mask.nonzero()[:, 0].tolist() for mask in batch.loss_mask]
        rows = range(self.ranks.rank, len(batch), self.ranks.size)
        prompts = [(batch.token_ids[row, : lengths[row]].tolist(), places[row]) for row in rows]
        answers = self.endpoint.score_all(prompts, self.listed)
        own = [self._checked(answer, len(ids)) for answer, (ids, _) in zip(answers, prompts, strict=True)]
        parts = self.ranks.all_gather(own)
        logprobs = torch.zeros(batch.loss_mask.shape)
        listed = torch.zeros(*logprobs.shape, self.listed, dtype=torch.int32)
        listed_logprobs = torch.zeros(listed.shape)
        for row, trained in enumerate(places):
            record = parts[row % self.ranks.size][row // self.ranks.size]
            logprobs[row, trained] = torch.tensor(record["logprobs"])
            if self.listed:
                pairs = torch.tensor(record["listed"], dtype=torch.float64)
                listed[row, trained], listed_logprobs[row, trained] = pairs[..., 0].int(), pairs[..., 1].float()
        return TeacherScores(logprobs, listed, listed_logprobs) if self.listed else TeacherScores(logprobs)

    def _checked(self, answer: Record | Unanswered, length: int) -> Record:
        if isinstance(answer, Unanswered):
            raise StageError(f"{self.name} does not score a trajectory of {length} tokens: {answer.detail}")
        for pairs in answer["listed"]:
            if len(pairs) != self.listed or any(token >= self.words for token, _ in pairs):
                raise StageError(
                    f"{self.name} lists {pairs} in the place of a token; accepted: {self.listed} of the {self.words} "
                    "tokens of the tokenizer (distill.top_k; vLLM's --max-logprobs)"
                )
        return answer
