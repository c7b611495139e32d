"""An endpoint asked from blocking code: several threads at once, and what is left when it closes."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mentor.endpoints.background import BackgroundEndpoint, Unanswered
from mentor.endpoints.spending import Spending
from mentor.errors import ConfigError
from mentor.stages.judging import ENDPOINT_KEYS
from tests.fixtures.judge_server import JudgeServer, judge_keys

pytest.importorskip("openai")


def opened(folder, server, key=None):
    keys = {"temperature": 0.0, "top_p": None, "max_tokens": 8, "seed": 0, "extra_body": {}, "concurrency": 4}
    settings = {**keys, **judge_keys(server)}
    spending = Spending("judge", None, None, 0.0, 0.0)
    return BackgroundEndpoint(folder, spending, key, {name: settings[name] for name in ENDPOINT_KEYS}, print)


def asked(work):
    return [{"role": "user", "content": f"<work>\n{work}\n</work>"}]


def test_threads_ask_at_once_and_a_refusal_is_an_answer_of_its_own(tmp_path):
    with JudgeServer({"no": "refusing"}) as server, opened(tmp_path, server) as endpoint:
        with ThreadPoolExecutor(4) as threads:
            found = [*threads.map(lambda n: endpoint.ask_all([asked(str(n)), asked("no")]), range(4))]
        assert all(set(answer) >= {"message", "usage"} for answer, _ in found)
        assert {refusal for _, refusal in found} == {
            Unanswered("request_refused", 'HTTP 400: {"error": {"message": "not this one"}}')
        }
        assert endpoint.counts()["answers"] == 4
    assert not endpoint._thread.is_alive()


def test_a_key_that_is_not_there_is_named_and_leaves_no_thread(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with JudgeServer() as server, pytest.raises(ConfigError, match="`judge.api_key_env=NO_SUCH_KEY`: the environment"):
        opened(tmp_path, server, "NO_SUCH_KEY")
