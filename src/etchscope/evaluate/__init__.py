"""Evaluation: matching, efficiency and purity with intervals, and the chance level."""

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
    "Evaluation",
    "Matching",
    "Proportion",
    "Rule",
    "bounding_centre",
    "evaluate",
    "match",
    "match_nearest",
    "match_one_to_one",
    "proportion",
    "tile_centre",
    "turn_180",
]
