"""MENTOR: tool-use distillation by RL with flexible teacher-optimised rewards (arXiv 2510.18383)."""

__version__ = "0.3.0"
