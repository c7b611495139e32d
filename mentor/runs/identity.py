"""The part of a config that determines the result, its hash, and the differences of two.

Logger, launcher, paths, run, name and overwrite do not change a result and are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mentor.config import STAGE_GROUPS, TOP_LEVEL_READERS, PerturbConfig, TaskColumns
from mentor.reward_keys import asks_judge, in_short_keys

ABSENT = "(absent)"


SPREAD: dict[str, tuple[str, ...]] = {
    "task": ("license",),
    "model": ("attn_implementation", "license"),
    "trainer": (
        *("nodes", "num_processes", "deepspeed", "gradient_checkpointing", "reference_offload", "share_prefixes"),
        "max_hours",
    ),
    "sampler": ("placement", "engines", "tensor_parallel", "gpu_memory_share", "kv_cache_gib"),
    "tools": ("load_timeout_s", "workers"),
    "judge": (
        *("base_url", "api_key_env", "concurrency", "timeout_s", "max_retries", "max_retry_s"),
        *("max_total_tokens", "max_cost", "input_price", "output_price"),
    ),
    "distill.teacher": (
        *("offload", "base_url", "api_key_env", "concurrency", "timeout_s", "max_retries", "max_retry_s"),
        *("max_total_tokens", "max_cost", "input_price"),
    ),
    "teacher": (
        *("base_url", "api_key_env", "concurrency", "timeout_s", "max_retries", "max_retry_s"),
        "max_refused_in_a_row",
        *("max_total_tokens", "max_cost", "input_price", "output_price", "dry_run"),
    ),
}
"""Keys that spread the work or limit it and do not change the result: a stage may be resumed with other values."""


NO_COLUMNS = asdict(TaskColumns())

ADDED_LATER: dict[str, dict[str, Any]] = {
    "stage": {
        **{"decontaminate": [], "schema_share": 0.0, "grader_timeout_s": 5.0},
        **{"skill": 1.0, "shyness": 0.0, "shyness_steps": 160, "perturbed_share": 0.0},
    },
    "task": {
        **{"data_set": None, "subset": None, "columns": NO_COLUMNS, "bad_rows": "refuse", "answer_format": "boxed"},
        **{"license": None, "perturb": asdict(PerturbConfig())},
        # Keys that are columns.* since, with the values that they had where nobody set them.
        **{"question_key": "question", "answer_key": "answer", "reference_key": "reference", "id_key": "id"},
    },
    "tools": {"schemas": None},
    "model": {
        **{"system_prompt": None, "think_history": "keep", "call_syntax": None, "template_name": None},
        **{"end_of_turn": None, "uncertified": False},
    },
    "sampler": {"max_thinking_tokens": None, "top_k": None},
    "reward": {"grader": "answer", "anneal": "none", "anneal_until": 1.0, "anneal_steps": 10},
    "teacher": {"think_history": "keep", "max_calls_per_turn": 32},
    "trainer": {
        **{"old_logprobs": "sampler", "task_epochs": None, "dual_clip": None, "mask_cut": False},
        **{"betas": [0.9, 0.95], "eps": 1e-8, "decay_share": 0.1},
        **{"eval_every": None, "eval_limit": None, "eval_greedy": True, "eval_samples": 0},
        **{"keep": "2", "best_metric": None, "best_mode": "max", "patience": None},
    },
}
"""Newer keys with the values that change nothing: folders made before these keys existed keep their hash."""


def identity(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a stored `config.yaml` that determines the result."""
    stage = values["stage"]["name"]
    top = [key for key in ("seed", "init") if stage in TOP_LEVEL_READERS.get(key, (stage,))]
    keys = ["stage", *STAGE_GROUPS[stage], *top, "upstream"]
    found = {key: values[key] for key in keys if values.get(key) is not None}
    if not asks_judge(found.get("reward"), found.get("benchmark", {})):
        found.pop("judge", None)
    if "distill" in found:
        found |= _distillation(found.pop("distill"))
    if "reward" in found:
        found["reward"] = in_short_keys(found["reward"])
    for group, spread in SPREAD.items():
        if group in found:
            found[group] = {key: value for key, value in found[group].items() if key not in spread}
    for group, later in ADDED_LATER.items():
        if group in found:
            found[group] = _without(found[group], later)
    if "benchmark" in found:
        found["benchmark"] = {
            name: {**_without(entry, {"terms": {}}), "task": _without(entry["task"], ADDED_LATER["task"])}
            for name, entry in found["benchmark"].items()
        }
    if "sampler" in found.get("teacher", {}):
        found["teacher"]["sampler"] = _without(found["teacher"]["sampler"], ADDED_LATER["sampler"])
    if found.get("task") == {}:  # a stage that reads newer keys of it only
        del found["task"]
    return found


def _distillation(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides of the group `distill`: nothing where no teacher is asked, as before the group existed."""
    if not values["coef"]:
        return {}
    teacher = {key: value for key, value in values["teacher"].items() if key not in SPREAD["distill.teacher"]}
    return {"distill": {**values, "teacher": teacher}}


def _without(section: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if (key, value) not in later.items()}


def config_hash(values: Mapping[str, Any]) -> str:
    """Hash the canonical JSON of `values` into 16 hexadecimal digits."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_hashes(**paths: str | None) -> dict[str, str]:
    """Hash each local file or folder of files into 16 hexadecimal digits, by name; a name on the Hub is left out."""
    given = {name: Path(path) for name, path in paths.items() if path is not None}
    return {name: _content_hash(path) for name, path in given.items() if path.exists()}


def _content_hash(path: Path) -> str:
    """Of a folder, over the names and contents of all files in it."""
    if path.is_dir():
        files = sorted(entry for entry in path.rglob("*") if entry.is_file())
        text = "".join(f"{_content_hash(entry)} {entry.relative_to(path)}\n" for entry in files)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """List `key: stored -> given` for every dotted key whose values differ."""
    before, now = flatten(stored), flatten(given)
    return [
        f"{key}: {before.get(key, ABSENT)} -> {now.get(key, ABSENT)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key, ABSENT) != now.get(key, ABSENT)
    ]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested values to dotted keys; lists and empty mappings are values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
