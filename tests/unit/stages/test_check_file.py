"""What an unknown file holds, and the command that reads it."""

import json

import pytest
from hydra import compose

from mentor.compose import to_config
from mentor.config import TaskColumns, TaskConfig
from mentor.errors import InputError
from mentor.loggers import silent_logger
from mentor.runs import RunFolder
from mentor.stages import check
from mentor.stages.check_file import describe_file


def described(tmp_path, *rows, **keys):
    path = tmp_path / "f.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        line.replace(str(path), "f.jsonl") for line in describe_file(TaskConfig("calculator", path=str(path), **keys))
    ]


CALL = {"from": "function_call", "value": '{"name": "now", "arguments": {}}'}
CHAT = {
    "id": 1,
    "conversations": [
        {"from": "human", "value": "?"},
        CALL,
        {"from": "observation", "value": "9"},
        {"from": "gpt", "value": "9."},
    ],
}


def test_a_file_of_traces(tmp_path):
    odd = {"id": 2, "conversations": [{"from": "sender", "value": "?"}], "ground_truth": "9"}
    assert described(tmp_path, CHAT, CHAT, odd) == [
        "f.jsonl: 3 rows",
        "  id: numbers",
        "  conversations: lists",
        "  ground_truth: text, in 1 rows",
        "form: llama_factory (rows by the form that fits each: 2 llama_factory, 1 sharegpt)",
        "conversations: 2 of 3 rows can be read; 4 turns, 2 user turns, 2 calls, 2 results, 1 tools",
        "would be kept: 1 rows, 0 with an answer",
        "tools: 2 rows with calls list none; schemas would be made from the calls",
        "refused: 1 repeated, such as f.jsonl:2: the same user's words and the same calls as f.jsonl:1",
        next(line for line in described(tmp_path, CHAT, CHAT, odd) if "unknown_role" in line),
        "read it with: mentor stage=rollout teacher=traces task.path=f.jsonl task.columns.answer=ground_truth",
    ]
    columns = TaskColumns(answer="gold")
    assert described(tmp_path, {**CHAT, "gold": "9"}, columns=columns, form="sharegpt")[-1].endswith(
        "teacher=traces task.path=f.jsonl task.form=sharegpt task.columns.answer=gold"
    )


@pytest.mark.parametrize(
    ("row", "proposed"),
    [
        ({"question": "?", "answer": "<<1+1=2>>\n#### 2"}, "task=gsm8k task.path=f.jsonl teacher=annotated"),
        ({"question": "?", "answer": 2}, "task=jsonl task.path=f.jsonl"),
        (
            {"query": "?", "target": 2},
            "task=jsonl task.path=f.jsonl task.columns.question=query task.columns.answer=target",
        ),
        ({"problem": "?", "answer": "2"}, "task=math task.path=f.jsonl"),
        ({"prompt": [], "reward_model": {}}, "task=rl_rows task.path=f.jsonl"),
        ({"question": "?", "golden_answers": []}, "task=multihop_qa task.path=f.jsonl"),
        (
            {"prompt": [{"role": "user", "content": 'Add. Answer after "####".'}], "reward_model": {}},
            "task=rl_rows task.path=f.jsonl task.answer_format=hashes",
        ),
        (
            {"query": "?", "tools": '[{"name": "f", "parameters": {}}]', "answers": '[{"name": "f", "arguments": {}}]'},
            "task=calls task.path=f.jsonl tools=row",
        ),
        ({"question": "?", "answer": "2", "tools": []}, "task=jsonl task.path=f.jsonl"),
        ({"id": "simple_1", "question": [[]], "function": []}, "task=bfcl task.path=f.jsonl tools=row"),
        ({"a": 1}, "task=jsonl reads rows by task.columns.question and .answer"),
    ],
)
def test_other_rows_get_the_task_that_reads_them(tmp_path, row, proposed):
    *_, form, last = described(tmp_path, row)
    assert form == "form: no conversations" and last.endswith(proposed)


def test_through_the_stage(tmp_path, hydra_conf, capsys):
    (tmp_path / "f.jsonl").write_text(json.dumps(CHAT) + "\n")
    config = to_config(compose("config", overrides=["stage=check", "task.path=f.jsonl"]))
    assert check.run(config, RunFolder(tmp_path, tmp_path), silent_logger()).headline is None
    assert "read it with: mentor stage=rollout teacher=traces task.path=f.jsonl" in capsys.readouterr().out
    with pytest.raises(InputError, match="no such file"):
        describe_file(TaskConfig("traces", path=str(tmp_path / "none.jsonl")))
