import json
from pathlib import Path

import pytest

from mentor.errors import InputError
from mentor.reporting.read.parity_records import read_parity
from mentor.runs.evaluations import fingerprint

RECORD = {"passed": True, "differences": [], "compared": {"eval": 4}, "logprob_gap": 1e-7, "ended": 1.0}


def test_a_record_is_of_the_weights_that_were_tried(tmp_path: Path):
    model = tmp_path / "sft-s0" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    path = tmp_path / "parity" / "sft-s0.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**RECORD, "model": "sft-s0", "weights": fingerprint(model)}))
    [record] = read_parity(tmp_path)
    assert record.passed and record.current and record.compared == {"eval": 4}
    (model / "model.safetensors").write_bytes(b"others!")
    [record] = read_parity(tmp_path)
    assert not record.current
    path.write_text("{}")
    with pytest.raises(InputError, match="not what stage=parity writes"):
        read_parity(tmp_path)
