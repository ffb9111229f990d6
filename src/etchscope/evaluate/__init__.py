"""Evaluation: matching, efficiency, purity, chance, calibration; agreement of labels."""

from etchscope.evaluate.agreement import CONFLICT_COLUMNS, conflicts
from etchscope.evaluate.calibration import (
    CALIBRATION_COLUMNS,
    calibration_table,
    expected_calibration_error,
)
from etchscope.evaluate.chance import bounding_centre, tile_centre, turn_180
from etchscope.evaluate.compare import Evaluation, evaluate
from etchscope.evaluate.intervals import CONFIDENCE_1_SIGMA, Proportion, proportion
from etchscope.evaluate.matching import (
    Matching,
    Rule,
    match,
    match_nearest,
    match_one_to_one,
)
from etchscope.evaluate.search import (
    Search,
    free_response,
    match_particles,
    poisson_interval,
    roc_curve,
)

__all__ = [
    "CALIBRATION_COLUMNS",
    "CONFIDENCE_1_SIGMA",
    "CONFLICT_COLUMNS",
    "Evaluation",
    "Matching",
    "Proportion",
    "Rule",
    "Search",
    "bounding_centre",
    "calibration_table",
    "conflicts",
    "evaluate",
    "expected_calibration_error",
    "free_response",
    "match",
    "match_nearest",
    "match_one_to_one",
    "match_particles",
    "poisson_interval",
    "proportion",
    "roc_curve",
    "tile_centre",
    "turn_180",
]
