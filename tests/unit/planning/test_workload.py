"""Properties of a workload that the plan is made from."""

from dataclasses import replace

from mentor.planning import Device, ModelShape, Workload

SHAPE = ModelShape(100, 8, 24, 3, 4, 2, 64, head_dim=4, tie_word_embeddings=True)
PLAIN = Workload(SHAPE, Device(80.0), micro_batch_tokens=500, max_tokens=400)


def test_plain_torch_trains_float32_weights_and_deepspeed_those_of_the_model():
    assert (PLAIN.width, PLAIN.weight_width) == (2, 4)
    assert replace(PLAIN, zero_stage=2).weight_width == 2
    assert replace(PLAIN, zero_stage=2, dtype="float32").weight_width == 4


def test_adapters_are_trained_beside_the_model_that_is_held():
    adapters = replace(PLAIN, lora_rank=2)
    assert PLAIN.trained == PLAIN.held == SHAPE.parameters
    assert adapters.trained == SHAPE.adapters(2) and adapters.held == SHAPE.parameters + SHAPE.adapters(2)


def test_the_largest_forward_holds_a_whole_trajectory():
    assert PLAIN.tokens == 500 and replace(PLAIN, max_tokens=900).tokens == 900


def test_only_a_kl_term_without_adapters_keeps_a_reference_model():
    assert not PLAIN.has_reference and replace(PLAIN, kl=True).has_reference
    assert not replace(PLAIN, kl=True, lora_rank=2).has_reference


def test_tensor_parallelism_is_of_a_vllm_on_gpus_of_its_own():
    vllm = replace(PLAIN, sampler="vllm", tensor_parallel=4)
    assert vllm.cards == 1 and vllm.colocated_vllm
    separate = replace(vllm, placement="separate")
    assert separate.cards == 4 and not separate.colocated_vllm
