"""ZeRO over real processes on a CPU against plain torch: the same loss, gradient norm, weights and checkpoints."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mentor.policy import MostLikely, Policy
from mentor.policy.checkpoint import save_folder
from mentor.policy.interface import PolicyOutput
from mentor.policy.lora import WEIGHTS, add_adapters
from mentor.policy.model import load_model
from mentor.policy.prefixes import PrefixTree
from mentor.policy.ranks import join_ranks
from mentor.policy.scorer import Scorer
from mentor.policy.supervised import supervised_loss
from tests.fixtures import engine_worker as worker
from tests.fixtures.distributions import kl_divergence, next_token_logprobs
from tests.fixtures.installed import needs
from tests.fixtures.policies import build_policy, make_batch, make_policy, weights_of
from tests.fixtures.ranks import be_the_only_rank, run_worker
from tests.fixtures.students import make_small_student

pytestmark = needs("deepspeed")


@pytest.fixture(scope="module")
def base(chat, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    make_policy(make_small_student(chat), chat).save_model(folder)
    return folder


def run(base: Path, folder: Path, count: int, *cases: str):
    results = folder / f"results-{count}.json"
    ending = run_worker("tests.fixtures.engine_worker", base, results, *cases, count=count)
    assert (ending.code, ending.cause) == (0, None), ending.report
    return json.loads(results.read_text())


def torch_policy(base: Path, chat, case: str = "zero2") -> Policy:
    model = load_model(base)
    if "lora" in case:
        torch.manual_seed(0)
        add_adapters(model, rank=4, alpha=8)
    return build_policy(model, chat.tokenizer, worker.SETTINGS, micro_batch_tokens=10_000, share_prefixes=False)


def assert_equal_to_torch(found, base: Path, folder: Path, chat, count: int) -> None:
    for case, entry in found.items():
        plain = torch_policy(base, chat, case)
        logprobs = plain.logprobs(worker.batch_of(case))
        truncated, kept = plain.truncated(worker.batch_of(case), worker.TRUNCATION)
        assert torch.allclose(torch.tensor(entry["truncated"]), truncated, atol=1e-5), case
        assert torch.equal(torch.tensor(entry["kept"]), kept) and kept.any(), case
        for ours, theirs in zip(entry["stats"], worker.train(plain, worker.STEPS, case), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6), case
        assert torch.allclose(torch.tensor(entry["logprobs"]), logprobs, atol=1e-5), case
        exported = load_file(folder / f"{case}-{count}-model" / "model.safetensors")
        assert distance(exported, dict(plain.weights()), weights_of(torch_policy(base, chat))) < 1e-3, case


def distance(found, expected, start) -> float:
    """How far two results of training are apart, as a share of how far training went.

    Not element by element: AdamW moves a weight whose gradient is all rounding by a whole step.
    """
    apart = sum(float((found[name] - value).norm()) ** 2 for name, value in expected.items()) ** 0.5
    return apart / sum(float((start[name] - value).norm()) ** 2 for name, value in expected.items()) ** 0.5


def test_one_rank_in_this_process_computes_what_plain_torch_does(base, chat, tmp_path, monkeypatch):
    """Stages 2 and 3: a step, the checkpoint it leaves, the step that follows from it, and shared prefixes."""
    be_the_only_rank(monkeypatch)
    start = weights_of(torch_policy(base, chat))
    with join_ranks(distributed=True) as ranks:
        for case in ("zero2", "zero3"):
            plain, policy = torch_policy(base, chat), worker.build(base, case, ranks)
            assert torch.allclose(policy.logprobs(make_batch()), plain.logprobs(make_batch()), atol=1e-5)
            theirs, kept = plain.truncated(make_batch(), worker.TRUNCATION)
            ours, same = policy.truncated(make_batch(), worker.TRUNCATION)
            assert torch.equal(kept, same) and torch.allclose(ours, theirs, atol=1e-5)
            (_, listed, theirs_listed), (_, same, ours_listed) = (
                each.most_likely(make_batch(), MostLikely(5, 300)) for each in (plain, policy)
            )
            assert torch.equal(listed, same) and torch.allclose(ours_listed, theirs_listed, atol=1e-5)
            drawn = replace(make_batch(), kept=kept)
            assert torch.allclose(policy.logprobs(drawn), theirs, atol=1e-5)
            ours, theirs = worker.train(policy, 1), worker.train(plain, 1)
            assert ours[0] == pytest.approx(theirs[0], rel=1e-4, abs=1e-6)
            save_folder(tmp_path / case, policy.save_state)
            worker.train(policy, 1)
            worker.train(plain, 1)
            unbroken = weights_of(policy)
            assert distance(unbroken, weights_of(plain), start) < 1e-3
            resumed = worker.build(base, case, ranks)
            resumed.load_state(tmp_path / case)
            assert resumed.step == 1
            worker.train(resumed, 1)
            assert all(torch.allclose(value, unbroken[name], atol=1e-6) for name, value in resumed.weights())
        assert max(gradients_differ_by(base, case, ranks) for case in ("zero2", "zero2-lora", "zero3")) < 1e-6


def gradients_differ_by(base: Path, case: str, ranks) -> float:
    """How far the gradients with shared prefixes are from those without, as a share of their norm."""
    moments = []
    for share in (False, True):
        policy = worker.build(base, case, ranks)
        policy.share_prefixes = policy.share_prefixes and share
        packings = {type(micro.packing) for micro in policy.micro_batches(worker.batch_of("shared"))}
        assert packings == {PrefixTree if share else type(None)}
        worker.train(policy, 1, "shared")
        moments.append({name: policy.engine.read(value)["exp_avg"] for name, value in policy.trained_parameters()})
    apart, shared = moments
    return distance(shared, apart, {name: torch.zeros_like(value) for name, value in apart.items()})


@pytest.mark.slow
def test_two_processes_compute_what_one_does_in_plain_torch(base, chat, tmp_path):
    found = run(base, tmp_path, 2, "zero1", "zero2", "zero3", "zero2-packed", "zero2-shared", "zero3-lora-shared")
    assert_equal_to_torch(found, base, tmp_path, chat, 2)


@pytest.mark.slow
def test_one_process_and_offload_compute_it_too(base, chat, tmp_path):
    found = run(base, tmp_path, 1, "zero1", "zero2", "zero3", "zero2-offload", "zero2-lora")
    assert_equal_to_torch(found, base, tmp_path, chat, 1)
    found = run(base, tmp_path, 2, "zero1-offload", "zero3-offload", "zero2-lora")
    assert_equal_to_torch(found, base, tmp_path, chat, 2)


@pytest.mark.slow
def test_a_checkpoint_goes_on_with_any_number_of_processes_stage_and_engine(base, chat, tmp_path):
    """With as many processes as if it had not stopped; with others, or in plain torch, as near as they compute."""
    run(base, tmp_path, 2, "zero2", "zero3")
    plain = torch_policy(base, chat)
    worker.train(plain, worker.STEPS)
    (tmp_path / "torch").mkdir()
    plain.save_state(tmp_path / "torch")
    worker.train(plain, 1)
    start, expected = weights_of(torch_policy(base, chat)), dict(plain.weights())

    def exported(name: str):
        return load_file(tmp_path / f"{name}-model" / "model.safetensors")

    sources = {"zero1": "torch", "zero2": "zero2-2", "zero3": "zero3-2"}
    run(base, tmp_path, 2, *(f"{stage}:{tmp_path / source}" for stage, source in sources.items()))
    for stage in ("zero2", "zero3"):
        resumed, unbroken = exported(f"{stage}-resumed-2"), exported(f"{stage}-2-unbroken")
        assert all(torch.allclose(resumed[name], value, rtol=0, atol=1e-6) for name, value in unbroken.items()), stage
    assert distance(exported("zero1-resumed-2"), expected, start) < 1e-3
    run(base, tmp_path, 1, f"zero2:{tmp_path / 'zero3-2'}", f"zero3:{tmp_path / 'torch'}")
    for stage in ("zero2", "zero3"):
        assert distance(exported(f"{stage}-resumed-1"), expected, start) < 1e-3, stage
    again = torch_policy(base, chat)
    again.load_state(tmp_path / "zero3-2")
    worker.train(again, 1)
    assert distance(dict(again.weights()), expected, start) < 1e-3


@pytest.mark.slow
def test_bfloat16_weights_have_float32_masters(base, chat, tmp_path):
    """Steps too small for bfloat16 are not lost: the checkpoint's weights are float32 and near those of torch."""
    found = run(base, tmp_path, 1, "zero2-bf16")
    plain = torch_policy(base, chat)
    stats = worker.train(plain, worker.STEPS)
    for ours, theirs in zip(found["zero2-bf16"]["stats"], stats, strict=True):
        assert ours["policy/grad_norm"] == pytest.approx(theirs["policy/grad_norm"], rel=0.1)
    entries = torch.load(tmp_path / "zero2-bf16-1" / "parameters-00000.pt")
    weights = dict(plain.weights())
    assert all(entry["weight"].dtype == torch.float32 for entry in entries.values())
    assert any(not torch.equal(entry["weight"], entry["weight"].bfloat16().float()) for entry in entries.values())
    furthest = max(float((entry["weight"] - weights[name]).abs().max()) for name, entry in entries.items())
    assert furthest < 0.01  # of weights that move by 0.001 a step
    exported = load_file(tmp_path / "zero2-bf16-1-model" / "model.safetensors")
    assert exported["model.embed_tokens.weight"].dtype == torch.bfloat16


@pytest.mark.slow
def test_what_adapters_learn_in_bfloat16_is_in_the_exported_model(base, tmp_path):
    """The policy is its bfloat16 base and its adapters apart; the export is their sum in float32."""
    from peft import PeftModel

    run(base, tmp_path, 2, "zero2-lora-bf16", "zero3-lora-bf16")
    for stage in ("zero2", "zero3"):
        folder, adapter = (tmp_path / f"{stage}-lora-bf16-2-{kind}" for kind in ("model", "adapter"))
        assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"
        for file in (folder / "model.safetensors", adapter / WEIGHTS):
            assert {value.dtype for value in load_file(file).values()} == {torch.float32}
        start = load_model(base, torch.bfloat16).float()
        before = next_token_logprobs(start, make_batch())
        trained = next_token_logprobs(PeftModel.from_pretrained(start, adapter).get_base_model(), make_batch())
        exported = load_model(folder)
        lost = kl_divergence(next_token_logprobs(exported, make_batch()), trained)
        rounded = kl_divergence(next_token_logprobs(exported.bfloat16().float(), make_batch()), trained)
        assert lost < 1e-4 * kl_divergence(trained, before) and lost < 1e-2 * rounded


@pytest.mark.slow
def test_bfloat16_weights_resume_as_if_they_had_not_stopped(base, tmp_path):
    cases = ("zero1-bf16", "zero2-bf16", "zero3-bf16")
    run(base, tmp_path, 2, *cases)
    run(base, tmp_path, 2, *(f"{case}:{tmp_path / f'{case}-2'}" for case in cases))
    for case in cases:
        resumed, unbroken = (
            load_file(tmp_path / f"{case}-{name}-model" / "model.safetensors") for name in ("resumed-2", "2-unbroken")
        )
        assert all(torch.equal(resumed[name], value) for name, value in unbroken.items()), case


def summed_gradients(base: Path) -> dict[str, torch.Tensor]:
    """The bfloat16 gradients of every row, added up in float64."""
    model = load_model(base, torch.bfloat16)
    scorer = Scorer(model, 1.0, torch.bfloat16, into_grad=False)
    sums = {name: torch.zeros(value.shape, dtype=torch.float64) for name, value in model.named_parameters()}
    for _, row in make_batch(worker.MANY).micro_batches(1):
        output = PolicyOutput(*scorer(row.token_ids, row.attention, row.loss_mask))
        supervised_loss(output, row)[0].backward()
        for name, value in model.named_parameters():
            sums[name] += value.grad.double()
        model.zero_grad()
    return sums


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_gradients_of_bfloat16_weights_add_up_in_float32(base, tmp_path, count):
    """Over micro-batches and ranks: in bfloat16 what a small gradient adds to a large sum is lost."""
    cases = ("zero1", "zero2", "zero3", "zero2-offload", "zero3-offload")
    names = [f"{case}-bf16-accumulate" for case in cases]
    run(base, tmp_path, count, *names)
    expected = summed_gradients(base)
    for name in names:
        entries = torch.load(tmp_path / f"{name}-{count}" / "parameters-00000.pt")
        found = {key: entry["exp_avg"].double() / 0.1 for key, entry in entries.items()}
        assert found.keys() == expected.keys()
        errors = {key: float((found[key] - value).norm() / value.norm()) for key, value in expected.items()}
        assert max(errors.values()) < 1e-5, (name, errors)
