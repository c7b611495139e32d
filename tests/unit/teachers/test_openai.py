"""`stage=rollout` behind an endpoint: no row is lost or doubled, whatever the endpoint or the machine does."""

import time

import pytest

from mentor.endpoints.request_store import request_key
from mentor.errors import ConfigError, StageError
from mentor.jsonl import read_jsonl
from mentor.tasks.calculator import generate
from mentor.trajectories.store import load_trajectories
from tests.fixtures.faulty_proxy import FAULTS, FaultyProxy
from tests.fixtures.openai_server import OracleServer
from tests.fixtures.strict_server import StrictServer
from tests.fixtures.teacher_rollouts import (
    ENDPOINT,
    SECRET,
    command,
    finish,
    ids,
    kill,
    run_stage,
    stored_keys,
    wait_until,
)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


def test_no_row_is_lost_or_doubled_behind_a_faulty_endpoint(tmp_path):
    tasks = generate("train", 40, 3, 0)
    began = time.monotonic()
    with (
        OracleServer(tasks) as server,
        FaultyProxy(server.base_url, share=0.3, seed=1, stall_s=4) as proxy,
    ):
        result = run_stage(
            tmp_path / "rollout",
            *("teacher=openai", f"teacher.base_url={proxy.base_url}", "teacher.model=oracle", "task.size=40"),
            *("teacher.timeout_s=3", "teacher.concurrency=16", "teacher.input_price=2", "teacher.output_price=5"),
        )
    assert (
        ids(tmp_path / "rollout") == [task.id for task in tasks] and ids(tmp_path / "rollout", "rejected.jsonl") == []
    )
    counts = result.counts["requests"]
    needed = sum(len(task.source["program"]) + 1 for task in tasks)
    assert len(set(server.hashes)) == counts["answers"] == needed
    assert set(proxy.given) == set(FAULTS) and proxy.given.total() > 0.2 * needed
    late = counts["faults"]["stall"] - proxy.given["stall"]  # what a busy machine brought too late, whatever it was
    missed = {kind: proxy.given[kind] - counts["faults"][kind] for kind in FAULTS if kind != "stall"}
    assert min(missed.values()) >= 0 and sum(missed.values()) <= late, (missed, proxy.errors, server.errors)
    assert 0 <= len(server.hashes) - needed <= late, "what was answered in time was asked for once"
    assert counts["cost"] == pytest.approx(needed * (100 * 2 + 20 * 5) / 1e6), "failed attempts gave no usage"
    assert time.monotonic() - began < 120


def test_a_task_whose_request_fails_for_good_is_rejected_with_its_reason(tmp_path):
    tasks = generate("train", 6, 1, 0)

    def refuse_second(message, body):
        if body["messages"][1]["content"] == tasks[1].question:
            raise ConnectionError("the server hangs up")
        return message

    with OracleServer(tasks, refuse_second) as server:
        result = run_stage(
            tmp_path,
            *("teacher=openai", f"teacher.base_url={server.base_url}", "teacher.model=oracle", "task.size=6"),
            *("task.max_steps=1", "teacher.max_retries=1"),
        )
    (row,) = read_jsonl(tmp_path / "rejected.jsonl")
    assert row["id"] == tasks[1].id and row["reason"] == "request_failed" and row["question"] == tasks[1].question
    assert ids(tmp_path) == [task.id for task in tasks if task is not tasks[1]]
    assert result.counts["requests"]["faults"] == {"cut_body": 2}
    assert result.headline == ("rollout/verified_share", pytest.approx(5 / 6))


def test_several_tries_and_what_they_cover_are_in_the_summary(tmp_path):
    tasks = generate("train", 8, 3, 0)

    def some_wrong(message, body):
        if body["seed"] == 1 and "tool_calls" not in message:
            return {"role": "assistant", "content": r"\boxed{-12345}"}
        return message

    with OracleServer(tasks, some_wrong) as server:
        result = run_stage(
            tmp_path,
            *("teacher=openai", f"teacher.base_url={server.base_url}", "teacher.model=oracle", "task.size=8"),
            "teacher.samples=3",
        )
    assert ids(tmp_path) == [task.id for task in tasks], "one trajectory a task"
    tries, coverage = result.counts["tries"], result.counts["coverage"]
    assert (tries["samples"], tries["correct"], tries["reasons"]) == (24, 16, {"wrong_answer": 8})
    assert tries["distinct_paths"] == 8, "the two right tries took the same path"
    lengths = [len(task.source["program"]) for task in tasks]
    assert coverage["calls_per_task"] == {str(n): lengths.count(n) for n in sorted(set(lengths))}
    used = {step["name"] for task in tasks for step in task.source["program"]}
    assert used.isdisjoint(coverage["tools_unused"]) and len(used) + len(coverage["tools_unused"]) == 12
    assert coverage["pass_rate"] == 1


def test_a_cap_ends_the_stage_cleanly_and_a_higher_one_goes_on(tmp_path):
    tasks = generate("train", 20, 3, 0)
    with OracleServer(tasks) as server:
        base = ("teacher=openai", f"teacher.base_url={server.base_url}", "teacher.model=oracle", "task.size=20")
        capped = run_stage(tmp_path, *base, "teacher.max_total_tokens=3600", "teacher.concurrency=2")
        assert "teacher.max_total_tokens=3600" in capped.counts["stopped_by"]
        asked, done = len(server.hashes), ids(tmp_path)
        assert 30 <= asked <= 31 and 0 < len(done) < 20
        result = run_stage(tmp_path, *base)
    assert "stopped_by" not in result.counts
    assert sorted(ids(tmp_path)) == sorted(task.id for task in tasks)
    assert len(server.hashes) == len(set(server.hashes)), "stored answers were not asked for again"


def test_a_key_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="`teacher.api_key_env=OPENAI_API_KEY`: the environment has no such variable"):
        run_stage(tmp_path, *ENDPOINT)


def test_an_endpoint_that_is_away_ends_the_stage_and_a_later_run_solves_all(tmp_path):
    with pytest.raises(StageError, match="requests in a row without an answer"):
        run_stage(tmp_path, *ENDPOINT, "teacher.max_retries=0", "task.size=20")
    assert ids(tmp_path) == []
    tasks = generate("train", 20, 3, 0)
    with OracleServer(tasks) as server:
        result = run_stage(tmp_path, *ENDPOINT, f"teacher.base_url={server.base_url}", "task.size=20")
    assert ids(tmp_path) == [task.id for task in tasks] and ids(tmp_path, "rejected.jsonl") == []
    assert result.counts["tries"]["samples"] == 20 and result.counts["requests"]["faults"]["connection"] >= 8


def test_an_endpoint_that_wants_its_turns_back_as_it_gave_them_solves_every_task(tmp_path):
    tasks = generate("train", 50, 3, 0)
    with StrictServer(tasks) as server:
        run_stage(tmp_path, *ENDPOINT, f"teacher.base_url={server.base_url}", "task.size=50")
    assert ids(tmp_path) == [task.id for task in tasks] and server.refused == []


def test_eight_tasks_refused_alike_end_the_stage_and_no_answer_is_paid_for_twice(tmp_path):
    tasks = generate("train", 50, 3, 0)
    with StrictServer(tasks) as server:
        run = (*ENDPOINT, f"teacher.base_url={server.base_url}", "task.size=50")
        server.refusing = "no tools today"
        for _ in range(2):
            with pytest.raises(StageError, match=r"8 tasks in a row were refused alike, .*HTTP 400: .*no tools today"):
                run_stage(tmp_path, *run)
            assert len(server.paid) == 8 and ids(tmp_path, "rejected.jsonl") == []
        server.refusing = None
        run_stage(tmp_path, *run)
    assert ids(tmp_path) == [task.id for task in tasks] and ids(tmp_path, "rejected.jsonl") == []
    assert len(server.paid) == len(set(server.paid)) == sum(len(task.source["program"]) + 1 for task in tasks)


def test_fewer_tasks_refused_alike_are_rejected_and_tried_again_while_none_is_solved(tmp_path):
    tasks = generate("train", 3, 1, 0)
    with StrictServer(tasks) as server:
        run = (*ENDPOINT, f"teacher.base_url={server.base_url}", "task.size=3", "task.max_steps=1")
        server.refusing = "no tools today"
        with pytest.raises(StageError, match="request_refused.*no tools today"):
            run_stage(tmp_path, *run)
        assert len(ids(tmp_path, "rejected.jsonl")) == 3
        server.refusing = None
        run_stage(tmp_path, *run)
    assert ids(tmp_path) == [task.id for task in tasks] and len(server.paid) == len(set(server.paid)) == 6


@pytest.mark.slow
def test_a_killed_stage_asks_nothing_twice_and_the_key_is_nowhere(tmp_path):
    """Killed twice, behind an endpoint that echoes the key in its answers and its errors."""
    tasks = generate("train", 80, 3, 0)

    def echo(message, body):
        return {**message, "reasoning_content": f"My key is {SECRET}."}

    output = ""
    with OracleServer(tasks, echo, delay_s=0.05) as server, FaultyProxy(server.base_url, 0.1, seed=2) as proxy:
        overrides = ("teacher=openai", f"teacher.base_url={proxy.base_url}", "teacher.model=oracle", "task.size=80")
        rollout_folder = tmp_path / "outputs/default/rollout"
        stored = rollout_folder / "requests/answers.jsonl"
        kills = []  # what was stored then, and how many requests the endpoint had seen
        for goal in (60, 140):
            process = command(tmp_path, *overrides, "teacher.timeout_s=10")
            wait_until(lambda: len(server.hashes) >= goal, process)  # noqa: B023 - called before the next turn
            output += kill(process, rollout_folder)
            kills.append((stored_keys(stored), len(server.bodies)))
        output += finish(command(tmp_path, *overrides, "teacher.timeout_s=10"))
    assert ids(rollout_folder) == [task.id for task in tasks]
    answers = [record["key"] for record in read_jsonl(stored)]
    needed = sum(len(task.source["program"]) + 1 for task in tasks)
    assert len(answers) == len(set(answers)) == needed
    for kept, seen in kills:
        assert len(kept) >= 30 and kept <= set(answers)
        assert kept.isdisjoint(request_key(body, 0) for body in server.bodies[seen:]), "a stored request was sent again"
    assert len(server.hashes) - needed <= 32, "only what was in flight at one of the kills was asked for again"
    assert len(load_trajectories(rollout_folder / "trajectories.jsonl")) == 80
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not [path for path in files if SECRET.encode() in path.read_bytes()] and SECRET not in output


@pytest.mark.slow
def test_a_dry_run_says_what_it_would_take_and_asks_nothing(tmp_path):
    with OracleServer([]) as server:
        output = finish(
            command(
                tmp_path,
                *("teacher=openai", f"teacher.base_url={server.base_url}", "teacher.model=oracle", "task.size=50"),
                *("teacher.dry_run=true", "teacher.samples=2", "teacher.input_price=2", "teacher.output_price=8"),
            )
        )
        assert server.hashes == [] and not (tmp_path / "outputs/default/rollout").exists()
    lines = dict(line.removeprefix("mentor: ").split(": ", 1) for line in output.splitlines() if ": " in line)
    assert "50 tasks, 2 tries at each" in lines["dry run"]
    needed = 2 * sum(len(task.source["program"]) + 1 for task in generate("train", 50, 3, 0))
    assert f"{needed:,} requests" in lines["expected"] and "800 requests" in lines["at most"]
