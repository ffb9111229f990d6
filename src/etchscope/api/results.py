"""Types of what the steps of the work take and return."""

from etchscope.align import AlignedStack
from etchscope.background.place_views import PlaceView
from etchscope.background.report import InjectionReport
from etchscope.background.stars import StarSearch
from etchscope.learn import Training
from etchscope.run.anomalies import AnomalySearch
from etchscope.run.demonstration import Demonstration
from etchscope.run.limits import LimitReport
from etchscope.run.stages.finding import FindReport
from etchscope.run.stages.scoring import ScoreReport
from etchscope.run.verdict import Verdict
from etchscope.run.working_point import ChosenPoint
from etchscope.store import Added, Compressed, Removal
from etchscope.store.migration import Migration

__all__ = [
    "Added",
    "AlignedStack",
    "AnomalySearch",
    "ChosenPoint",
    "Compressed",
    "Demonstration",
    "FindReport",
    "InjectionReport",
    "LimitReport",
    "Migration",
    "PlaceView",
    "Removal",
    "ScoreReport",
    "StarSearch",
    "Training",
    "Verdict",
]
