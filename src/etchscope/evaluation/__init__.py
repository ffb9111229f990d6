"""Evaluation: matching, efficiency, purity, chance, calibration; agreement of labels."""

from etchscope.evaluation.accidental import (
    Accidental,
    accidental_matches,
    hull,
    in_hull,
    local_rate,
)
from etchscope.evaluation.agreement import CONFLICT_COLUMNS, conflicts
from etchscope.evaluation.calibration import (
    CALIBRATION_COLUMNS,
    calibration_table,
    expected_calibration_error,
)
from etchscope.evaluation.chance import Chance, chance_matches, in_box, local_shifts
from etchscope.evaluation.compare import Evaluation, Tiles, evaluate
from etchscope.evaluation.conditions import (
    CURVE_COLUMNS,
    Fragments,
    breakdown,
    density_classes,
    fragments,
    regions,
    tolerance_curve,
    without_copies,
)
from etchscope.evaluation.intervals import (
    Proportion,
    poisson_interval,
    proportion,
)
from etchscope.evaluation.matching import (
    Matching,
    Rule,
    match,
    match_nearest,
    match_one_to_one,
)
from etchscope.evaluation.methods import MethodComparison, compare_methods
from etchscope.evaluation.search import (
    Ground,
    Search,
    free_response,
    match_particles,
    roc_curve,
)
from etchscope.evaluation.thresholds import (
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
from etchscope.evaluation.tiles import (
    cells,
    chi2_text,
    overdispersion,
    proportion_over_tiles,
    rate_over_tiles,
    ratio_over_tiles,
)

__all__ = [
    "CALIBRATION_COLUMNS",
    "CONFLICT_COLUMNS",
    "CURVE_COLUMNS",
    "Accidental",
    "Asked",
    "Chance",
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
    "Tiles",
    "accidental_matches",
    "breakdown",
    "calibration_table",
    "cells",
    "chance_matches",
    "chi2_text",
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
    "in_box",
    "in_hull",
    "local_rate",
    "local_shifts",
    "match",
    "match_nearest",
    "match_one_to_one",
    "match_particles",
    "measured_elsewhere",
    "overdispersion",
    "poisson_interval",
    "proportion",
    "proportion_over_tiles",
    "rate_over_tiles",
    "ratio_over_tiles",
    "regions",
    "roc_curve",
    "thresholds_for",
    "tolerance_curve",
    "without_copies",
]
