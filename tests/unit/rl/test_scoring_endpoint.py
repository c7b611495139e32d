"""A teacher behind an endpoint says what the same model in this process says, once, and is named where it fails."""

import pytest
import torch

from mentor.endpoints.background import BackgroundEndpoint
from mentor.endpoints.spending import Spending
from mentor.errors import StageError
from mentor.policy import MostLikely
from mentor.policy.model import load_model, make_student
from mentor.policy.ranks import Ranks
from mentor.policy.teacher_model import TeacherModel
from mentor.rl.scoring_endpoint import ScoringEndpoint
from tests.fixtures.installed import needs
from tests.fixtures.policies import make_batch, make_policy
from tests.fixtures.scoring_server import ScoringServer
from tests.fixtures.vllm_server import vllm_server

pytest.importorskip("openai")
ASKED = {"temperature": None, "top_p": None, "max_tokens": 1, "seed": None, "extra_body": {}, "concurrency": 4}
PATIENCE = {"timeout_s": 30.0, "max_retries": 0, "max_retry_s": 1.0}


def opened(folder, server, max_total_tokens=None):
    spending = Spending("distill.teacher", max_total_tokens, None, 0.0, 0.0)
    settings = {"base_url": server.base_url, "model": "big", **ASKED, **PATIENCE}
    return BackgroundEndpoint(folder, spending, None, settings, print)


def scored(folder, server, listed, words=300, batch=None):
    with opened(folder, server) as endpoint:
        return ScoringEndpoint(endpoint, "the teacher", Ranks(), listed, words).score(batch or make_batch())


@pytest.mark.parametrize("listed", [0, 4])
def test_it_says_what_the_model_says_in_this_process(student, chat, tmp_path, listed):
    words = student.config.vocab_size
    wanted = MostLikely(listed, words) if listed else None
    expected = TeacherModel(make_policy(student, chat), wanted).score(make_batch())
    with ScoringServer(student, chat.tokenizer) as server:
        found = scored(tmp_path, server, listed, words)
        assert [body["prompt_logprobs"] for body in server.bodies] == [listed] * 8
        again = scored(tmp_path, server, listed, words)
        assert len(server.bodies) == 8, "what is stored is not asked again"
    for one, other, same in zip(found, expected, again, strict=True):
        assert one is other is None or (
            torch.allclose(one.float(), other.float(), atol=1e-5) and torch.equal(one, same)
        )


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        ("refused", "the teacher does not score a trajectory of [0-9]+ tokens: HTTP 400: .*the prompt is too long"),
        ("unscored", "8 requests in a row without an answer.*a choice without prompt_logprobs of every token"),
        ("few", r"the teacher lists \[\[.*in the place of a token; accepted: 4 of the 300 tokens"),
    ],
)
def test_what_cannot_be_used_is_named(student, chat, tmp_path, fails, message):
    with ScoringServer(student, chat.tokenizer, fails) as server, pytest.raises(StageError, match=message):
        scored(tmp_path, server, 4)


def test_tokens_beyond_the_tokenizers_are_refused(student, chat, tmp_path):
    with (
        ScoringServer(student, chat.tokenizer) as server,
        pytest.raises(StageError, match="accepted: 4 of the 4 tokens"),
    ):
        scored(tmp_path, server, 9, words=4)


def test_a_cap_on_tokens_ends_the_stage_and_what_was_said_is_kept(student, chat, tmp_path):
    with ScoringServer(student, chat.tokenizer) as server:
        with opened(tmp_path, server, max_total_tokens=1) as endpoint:
            assert endpoint.score_all([([1, 2, 3], [1, 2])], 0)[0]["usage"]["prompt_tokens"] == 3
            with pytest.raises(StageError, match="`?distill.teacher.max_total_tokens=1 is reached.*resumes"):
                endpoint.score_all([([1, 2, 4], [1, 2])], 0)
        with opened(tmp_path, server, max_total_tokens=1) as endpoint:
            (stored,) = endpoint.score_all([([1, 2, 3], [1, 2])], 0)
            assert len(stored["logprobs"]) == 2 and endpoint.counts()["replayed"] == 1


@pytest.mark.proof
@needs("vllm")
@pytest.mark.parametrize("listed", [0, 20])
def test_a_server_of_vllm_says_what_the_model_says_in_this_process(served, chat, tmp_path, listed):
    model, url = served
    wanted = MostLikely(listed, len(chat.tokenizer)) if listed else None
    expected = TeacherModel(make_policy(load_model(model), chat), wanted).score(make_batch())
    settings = {"base_url": url, "model": "student", **ASKED, **PATIENCE}
    with BackgroundEndpoint(tmp_path, Spending("distill.teacher", None, None, 0.0, 0.0), None, settings, print) as said:
        ids = sorted(chat.tokenizer.get_vocab().values())
        assert said.detokenize(ids) == chat.tokenizer.decode(ids)
        scores = ScoringEndpoint(said, "vLLM", Ranks(), listed, len(chat.tokenizer)).score(make_batch())
    assert torch.allclose(scores.logprobs, expected.logprobs, atol=1e-3)
    if listed:
        assert torch.allclose(scores.listed_logprobs, expected.listed_logprobs, atol=1e-3)
        assert (scores.listed == expected.listed).float().mean() > 0.99  # neighbours may swap by rounding
    print(f"largest difference: {(scores.logprobs - expected.logprobs).abs().max():.2e}")


@pytest.fixture(scope="module")
def served(chat, tmp_path_factory):
    """A model's folder and the address of a vLLM server of it."""
    folder = tmp_path_factory.mktemp("vllm")
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64}  # vLLM on a CPU takes no small heads
    layers = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "max_position_embeddings": 512}
    ends = {"eos_token_id": chat.eos_id, "pad_token_id": chat.pad_id}
    make_student(0, vocab_size=512, **heads, **layers, **ends).save_pretrained(folder / "model")
    chat.tokenizer.save_pretrained(folder / "model")
    with vllm_server(folder / "model", folder / "log", "--max-model-len", "512") as url:
        yield folder / "model", url
