"""Evaluation: matching, efficiency, purity, chance, calibration; agreement of labels."""

from etchscope.evaluation.accidental import (
    Accidental,
    accidental_matches,
    convex_hull,
    in_hull,
    local_rate,
)
from etchscope.evaluation.agreement import CONFLICT_COLUMNS, find_conflicts
from etchscope.evaluation.calibration import (
    CALIBRATION_COLUMNS,
    calibration_table,
    expected_calibration_error,
)
from etchscope.evaluation.chance import Chance, chance_matches, in_box, local_shifts
from etchscope.evaluation.compare import Evaluation, evaluate
from etchscope.evaluation.conditions import (
    CURVE_COLUMNS,
    Fragments,
    breakdown,
    count_fragments,
    drop_copies,
    name_density_classes,
    name_regions,
    tolerance_curve,
)
from etchscope.evaluation.density_classes import density_edges
from etchscope.evaluation.halves import split_halves
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
from etchscope.evaluation.measured import (
    Figure,
    Measured,
    efficiency_at_rate,
    measure_by_halves,
    measure_on_other,
)
from etchscope.evaluation.methods import MethodComparison, compare_methods
from etchscope.evaluation.points import Tiles
from etchscope.evaluation.requirement import Requirement
from etchscope.evaluation.search import (
    Ground,
    Search,
    free_response,
    match_particles,
    roc_curve,
)
from etchscope.evaluation.thresholds import choose_thresholds
from etchscope.evaluation.tiles import (
    format_chi2,
    number_cells,
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
    "Chance",
    "Evaluation",
    "Figure",
    "Fragments",
    "Ground",
    "Matching",
    "Measured",
    "MethodComparison",
    "Proportion",
    "Requirement",
    "Rule",
    "Search",
    "Tiles",
    "accidental_matches",
    "breakdown",
    "calibration_table",
    "chance_matches",
    "choose_thresholds",
    "compare_methods",
    "convex_hull",
    "count_fragments",
    "density_edges",
    "drop_copies",
    "efficiency_at_rate",
    "evaluate",
    "expected_calibration_error",
    "find_conflicts",
    "format_chi2",
    "free_response",
    "in_box",
    "in_hull",
    "local_rate",
    "local_shifts",
    "match",
    "match_nearest",
    "match_one_to_one",
    "match_particles",
    "measure_by_halves",
    "measure_on_other",
    "name_density_classes",
    "name_regions",
    "number_cells",
    "overdispersion",
    "poisson_interval",
    "proportion",
    "proportion_over_tiles",
    "rate_over_tiles",
    "ratio_over_tiles",
    "roc_curve",
    "split_halves",
    "tolerance_curve",
]
