"""Reward lint: plays known reward exploits on the user's tasks and tools, and compares what they score.

tasks -> cases (turns) -> environment (parsed, executed) -> reward -> rules broken.
"""

from mentor.linting.cases import Case, CaseWriter, usable
from mentor.linting.play import Finding, Lint, lint_reward

__all__ = ["Case", "CaseWriter", "Finding", "Lint", "lint_reward", "usable"]
