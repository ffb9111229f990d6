"""Evaluation: matching, efficiency and purity with intervals, chance; agreement of labels."""

from etchscope.evaluate.agreement import CONFLICT_COLUMNS, conflicts
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

__all__ = [
    "CONFIDENCE_1_SIGMA",
    "CONFLICT_COLUMNS",
    "Evaluation",
    "Matching",
    "Proportion",
    "Rule",
    "bounding_centre",
    "conflicts",
    "evaluate",
    "match",
    "match_nearest",
    "match_one_to_one",
    "proportion",
    "tile_centre",
    "turn_180",
]
