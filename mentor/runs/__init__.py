"""The run folder of a stage and the process that fills it: locks, config hashes, provenance, launching."""

from mentor.runs.base_model import base_model
from mentor.runs.evaluations import Evaluation, evaluations
from mentor.runs.folder import RunFolder, claim

__all__ = ["Evaluation", "RunFolder", "base_model", "claim", "evaluations"]
