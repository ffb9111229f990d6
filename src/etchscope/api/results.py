"""Types of what the steps of the work return."""

from etchscope.run.demonstration import Demonstration
from etchscope.run.stages.find import FindReport
from etchscope.run.stages.score import ScoreReport
from etchscope.run.verdict import Verdict
from etchscope.store import Added, Removal
from etchscope.store.migration import Migration

__all__ = [
    "Added",
    "Demonstration",
    "FindReport",
    "Migration",
    "Removal",
    "ScoreReport",
    "Verdict",
]
