"""Where a stage's files live and who may write them: folders, locks, config hashes, provenance, child processes."""

from mentor.runs.base_model import base_model
from mentor.runs.evaluations import Evaluation, evaluations
from mentor.runs.folder import RunFolder, claim

__all__ = ["Evaluation", "RunFolder", "base_model", "claim", "evaluations"]
