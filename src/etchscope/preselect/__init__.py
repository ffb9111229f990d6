"""The search for pits: openings with their shapes, pairs with their tracks, and the density."""

from typing import TYPE_CHECKING

from etchscope.foil.lazy import load_on_use

if TYPE_CHECKING:
    from etchscope.preselect.calibrate import Calibration, calibrate_detector
    from etchscope.preselect.detect import detect_openings
    from etchscope.preselect.detector import (
        ClassicalDetector,
        Detector,
        Ground,
        LearnedDetector,
        detect_tiles,
    )
    from etchscope.preselect.find import find_pits
    from etchscope.preselect.finder import Finder
    from etchscope.preselect.learned import LearnedConstants, fit_scale
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
    "calibrate_detector",
    "complete",
    "detect_openings",
    "detect_tiles",
    "find_pits",
    "fit_scale",
]

__getattr__ = load_on_use(
    __name__,
    (
        "settings",
        "lighting",
        "calibrate",
        "table",
        "detect",
        "finder",
        "detector",
        "learned",
        "find",
    ),
)
