"""Where the pits are: responses, peaks, shapes, pairs and density."""

from etchscope.preselect.calibrate import Calibration, calibrate
from etchscope.preselect.detect import detect
from etchscope.preselect.detector import (
    ClassicalDetector,
    Detector,
    Ground,
    LearnedDetector,
    detect_tiles,
)
from etchscope.preselect.find import find_pits
from etchscope.preselect.learned import Finder, LearnedConstants, fit_scale
from etchscope.preselect.lighting import Lighting
from etchscope.preselect.settings import FindSettings
from etchscope.preselect.table import PitCounts, complete

__all__ = [
    "Calibration",
    "ClassicalDetector",
    "Detector",
    "FindSettings",
    "Finder",
    "Ground",
    "LearnedConstants",
    "LearnedDetector",
    "Lighting",
    "PitCounts",
    "calibrate",
    "complete",
    "detect",
    "detect_tiles",
    "find_pits",
    "fit_scale",
]
