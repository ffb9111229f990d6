"""Where the pits are: responses, peaks, shapes, pairs and density."""

from etchscope.preselect.calibrate import Calibration, calibrate
from etchscope.preselect.detect import detect, detect_tiles
from etchscope.preselect.find import find_pits
from etchscope.preselect.lighting import Lighting
from etchscope.preselect.settings import FindSettings
from etchscope.preselect.table import PitCounts, complete

__all__ = [
    "Calibration",
    "FindSettings",
    "Lighting",
    "PitCounts",
    "calibrate",
    "complete",
    "detect",
    "detect_tiles",
    "find_pits",
]
