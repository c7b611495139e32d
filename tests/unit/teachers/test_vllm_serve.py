"""A real vLLM server with its own tool-call parser as the endpoint, on a CPU, serving a small trained student."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from mentor.conf_dir import conf_dir
from mentor.endpoints.request_store import request_key
from mentor.jsonl import read_jsonl
from mentor.rewards.answers import compare
from mentor.rewards.boxed import extract_boxed
from mentor.tasks.calculator import generate
from mentor.trajectories.store import load_trajectories
from tests.fixtures.faulty_proxy import FaultyProxy
from tests.fixtures.installed import needs
from tests.fixtures.teacher_rollouts import command, finish, ids, kill, run_stage, stored_keys, wait_until
from tests.fixtures.vllm_server import vllm_server

pytestmark = [pytest.mark.proof, needs("vllm")]
TASKS = generate("train", 300, 2, 0)


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A student that can make calls for questions of several steps, as stage=pretrain leaves it."""
    work = tmp_path_factory.mktemp("pretrain")
    environment = {**os.environ, "PYTHONPATH": str(conf_dir().parent)}
    taught = ["stage.max_steps_per_question=3", "stage.conversations=2500", "trainer.batch_tokens=2048"]
    overrides = ["stage=pretrain", "debug=default", *taught, "logger=quiet"]
    subprocess.run([sys.executable, "-m", "mentor.cli", *overrides], cwd=work, env=environment, check=True)
    return work / "outputs/debug/pretrain-s0/model"


@pytest.fixture(scope="module")
def vllm_url(student, tmp_path_factory):
    calls = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    with vllm_server(student, tmp_path_factory.mktemp("vllm") / "log", *calls) as url:
        yield url


def test_a_stage_killed_in_the_middle_goes_on_and_repeats_no_stored_request(tmp_path, vllm_url):
    with FaultyProxy(vllm_url, share=0.0) as proxy:
        overrides = (
            *("teacher=openai", f"teacher.base_url={proxy.base_url}", "teacher.model=student", "task.size=300"),
            *("task.max_steps=2", "teacher.instruction=null", "teacher.max_tokens=96", "teacher.api_key_env=null"),
        )
        folder = tmp_path / "outputs/default/rollout"
        process = command(tmp_path, *overrides)
        wait_until(lambda: len(proxy.forwarded) >= 300, process)
        kill(process, folder)
        kept = stored_keys(folder / "requests/answers.jsonl")
        print(finish(command(tmp_path, *overrides)))
    asked = Counter(request_key(body, 0) for body in proxy.forwarded)
    assert len(kept) >= 250 and all(asked[key] == 1 for key in kept), "no stored request was sent again"
    assert asked.total() - len(asked) <= 16, "only what was in flight was"
    solved, rejected = ids(folder), ids(folder, "rejected.jsonl")
    assert sorted(solved + rejected) == sorted(task.id for task in TASKS), "every row, once"
    answers = {task.id: task.answer[0] for task in TASKS}
    trajectories = load_trajectories(folder / "trajectories.jsonl")
    assert len(trajectories) >= 30 and any(trajectory.executed_calls() for trajectory in trajectories)
    for trajectory in trajectories:
        assert compare(extract_boxed(trajectory.final_text), answers[trajectory.task.id])
    reasons = {row["reason"] for row in read_jsonl(folder / "rejected.jsonl")}
    assert reasons <= {"wrong_answer", "no_answer", "length", "max_turns", "invalid_calls", "unparsed_calls"}


def test_the_same_student_as_a_teacher_in_the_process(tmp_path, student):
    limits = ("teacher.sampler.max_running=64", "task.size=60", "task.max_steps=2")
    result = run_stage(tmp_path, "teacher=model", f"teacher.path={student}", "teacher.samples=2", *limits)
    assert len(ids(tmp_path)) + len(ids(tmp_path, "rejected.jsonl")) == 60 and len(ids(tmp_path)) >= 6
    assert result.counts["tries"]["samples"] == 120
    assert result.counts["tries"]["correct"] >= len(ids(tmp_path)) == result.counts["verified"]
