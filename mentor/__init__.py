"""MENTOR: tool-use distillation by RL with flexible teacher-optimised rewards (arXiv 2510.18383)."""

from importlib import import_module
from typing import Any

__version__ = "0.3.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    if name != "load":
        raise AttributeError(f"module 'mentor' has no attribute {name!r}")
    return import_module("mentor.use").load  # imports torch
