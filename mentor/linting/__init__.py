"""Reward lint: ways to earn a reward without the work, played on the user's own tasks and tools, and what they score.

tasks -> cases (turns) -> environment (parsed, executed) -> reward -> rules broken.
"""

from mentor.linting.cases import Case, CaseWriter, usable
from mentor.linting.play import Finding, Lint, lint_reward

__all__ = ["Case", "CaseWriter", "Finding", "Lint", "lint_reward", "usable"]
