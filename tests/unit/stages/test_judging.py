"""The judge of a stage: what several ranks may spend, and where each keeps its answers."""

import pytest

from mentor.config import BenchmarkConfig, Config, EvalStage, JudgeConfig
from mentor.stages.judging import open_judge
from tests.fixtures.judge_server import JudgeServer, judge_keys, write_rubric
from tests.unit.endpoints.test_background import asked

pytest.importorskip("openai")


def test_ranks_share_the_caps_and_keep_their_own_answers(tmp_path):
    entry = BenchmarkConfig(grader=f"judge:{write_rubric(tmp_path)}")
    said = []
    with JudgeServer() as server:
        caps = {"max_total_tokens": 5, "max_cost": 3.0, "input_price": 1.0}
        judge = JudgeConfig(**judge_keys(server, **caps))
        config = Config(stage=EvalStage("eval"), benchmark={"mine": entry}, judge=judge)
        with open_judge(config, tmp_path, said.append, share=2, rank=1) as endpoint:
            assert (endpoint._spending.max_total_tokens, endpoint._spending.max_cost) == (3, 1.5)
            endpoint.ask_all([asked("72")])
    assert (tmp_path / "judge-rank1" / "answers.jsonl").is_file() and not (tmp_path / "judge").exists()
    assert said[-1].startswith("judge: {'answers': 1, 'replayed': 0, 'faults': {}, 'prompt_tokens': 100")
