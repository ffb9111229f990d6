"""Evaluation: matching, efficiency, purity, chance, calibration; agreement of labels."""

from etchscope.evaluate.accidental import (
    Accidental,
    accidental_matches,
    hull,
    in_hull,
    local_rate,
    shifted_matches,
)
from etchscope.evaluate.agreement import CONFLICT_COLUMNS, conflicts
from etchscope.evaluate.breakdown import (
    CURVE_COLUMNS,
    Fragments,
    breakdown,
    density_classes,
    fragments,
    regions,
    tolerance_curve,
    without_copies,
)
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
from etchscope.evaluate.methods import MethodComparison, compare_methods
from etchscope.evaluate.search import (
    Ground,
    Search,
    free_response,
    match_particles,
    poisson_interval,
    roc_curve,
)
from etchscope.evaluate.thresholds import (
    Asked,
    Figure,
    Measured,
    density_edges,
    efficiency_at_rate,
    exchanged,
    halves,
    measured_elsewhere,
    thresholds_for,
)

__all__ = [
    "CALIBRATION_COLUMNS",
    "CONFIDENCE_1_SIGMA",
    "CONFLICT_COLUMNS",
    "CURVE_COLUMNS",
    "Accidental",
    "Asked",
    "Evaluation",
    "Figure",
    "Fragments",
    "Ground",
    "Matching",
    "Measured",
    "MethodComparison",
    "Proportion",
    "Rule",
    "Search",
    "accidental_matches",
    "bounding_centre",
    "breakdown",
    "calibration_table",
    "compare_methods",
    "conflicts",
    "density_classes",
    "density_edges",
    "efficiency_at_rate",
    "evaluate",
    "exchanged",
    "expected_calibration_error",
    "fragments",
    "free_response",
    "halves",
    "hull",
    "in_hull",
    "local_rate",
    "match",
    "match_nearest",
    "match_one_to_one",
    "match_particles",
    "measured_elsewhere",
    "poisson_interval",
    "proportion",
    "regions",
    "roc_curve",
    "shifted_matches",
    "thresholds_for",
    "tile_centre",
    "tolerance_curve",
    "turn_180",
    "without_copies",
]
