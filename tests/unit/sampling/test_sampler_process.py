"""What the process of an embedded sampler does: it samples between messages, and says that it lives and why it ends."""

from contextlib import contextmanager
from copy import deepcopy
from multiprocessing import Pipe
from threading import Thread

import torch

from mentor.errors import SamplerError
from mentor.sampling import SamplingParams, TransformersSampler, sampler_process
from mentor.sampling.sampler_process import ProcessSettings, build, serve
from tests.fixtures.samplers import prompts, save_student


@contextmanager
def served(start):
    """The other end of a process's connection, which a thread serves."""
    ours, theirs = Pipe()
    thread = Thread(target=serve, args=(theirs, start))
    thread.start()
    try:
        yield ours
    finally:
        ours.close()
        thread.join(20)
        theirs.close()
        assert not thread.is_alive(), "it ends when the other end is closed, also while it samples"


def embedded(student):
    return lambda: TransformersSampler(student, (), max_running=4, max_tokens=4000)


def test_requests_are_sampled_and_what_is_asked_between_is_answered_in_order(chat, student):
    ids, alone = prompts(chat, 2), embedded(deepcopy(student))()  # the thread has the other one
    with served(embedded(student)) as other:
        assert other.recv() == ("ready", len(chat.tokenizer))
        asked = [(str(i), prompt, SamplingParams(max_tokens=3 + i, temperature=0.0)) for i, prompt in enumerate(ids)]
        other.send(("add_requests", ((), asked)))
        done = {}
        while len(done) < 2:
            kind, completions = other.recv()
            assert kind == "done"
            done |= {completion.session: completion for completion in completions}
        assert [len(done[name].token_ids) for name in "01"] == [3, 4]
        for message in (("end_session", ("0",)), ("sleep", ()), ("logprobs", (ids[0], 2, 1.0)), ("checksums", ())):
            other.send(message)
        assert other.recv() == ("answer", alone.logprobs(ids[0], 2, 1.0))
        assert other.recv() == ("answer", alone.checksums())


def test_it_says_something_while_no_turn_ends(chat, student, monkeypatch):
    monkeypatch.setattr(sampler_process, "SIGN_S", 0.0)
    with served(embedded(student)) as other:
        other.recv()
        params = SamplingParams(max_tokens=3000, temperature=0.0)
        other.send(("add_requests", ((), [("long", prompts(chat, 1)[0], params)])))
        assert [other.recv() for _ in range(3)] == [("done", [])] * 3


def test_a_bug_is_printed_and_said_in_one_line_and_an_error_of_ours_only_said(chat, student, capfd):
    with served(embedded(student)) as other:
        other.recv()
        other.send(("no such thing", ()))
        assert other.recv() == ("failed", "'TransformersSampler' object has no attribute 'no such thing'")
    assert "Traceback" in capfd.readouterr().err

    def refuse():
        raise SamplerError("it has\nno room")

    with served(refuse) as other:
        assert other.recv() == ("failed", "it has no room")
    assert "Traceback" not in capfd.readouterr().err


def test_its_model_has_room_for_adapters_and_is_the_base_without_them(chat, tmp_path):
    model = save_student(chat, tmp_path)
    settings = ProcessSettings(str(tmp_path), torch.float32, max_running=2, max_tokens=256, lora_rank=2)
    sampler, plain = build(settings), TransformersSampler(model, ())
    ids = prompts(chat, 1)[0]
    assert sampler.logprobs(ids, 3, 1.0) == plain.logprobs(ids, 3, 1.0)
    assert sampler.checksums().keys() == plain.checksums().keys()
