"""Metrics and progress of a stage: metrics.jsonl is the record, console and W&B show the same values."""

from mentor.loggers.logger import Logger, build_logger, silent_logger

__all__ = ["Logger", "build_logger", "silent_logger"]
