"""constraints-cpu.txt pins all that the package and its extras ask for, in versions that they accept."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
GPU = {"vllm"}  # extras that the environment of these pins leaves out

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {name: wanted for name, wanted in PROJECT["optional-dependencies"].items() if name not in GPU}


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_every_requirement_is_pinned(extra: str):
    lines = (ROOT / "constraints-cpu.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    for text in EXTRAS[extra] if extra else PROJECT["dependencies"]:
        wanted = Requirement(text)
        assert versions.get(canonicalize_name(wanted.name), "no version") in wanted.specifier, text
