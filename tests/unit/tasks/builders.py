"""Files of rows, and what is said when one cannot be loaded."""

import json

import pytest

from mentor.errors import InputError
from mentor.tasks import load_tasks

ROW = {"question": "What is 2 plus 3?", "answer": "5"}


def write(tmp_path, *rows, name="rows.jsonl"):
    path = tmp_path / name
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def refusal(tmp_path, *rows, name="jsonl", **settings):
    with pytest.raises(InputError) as caught:
        load_tasks(name, path=write(tmp_path, *rows), **settings)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    return str(caught.value).replace(str(tmp_path) + "/", "")
