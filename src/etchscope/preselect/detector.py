"""One protocol for all finders: the pictures of a tile in, the columns of its finds out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.foil.types import RawStack
from etchscope.imaging.lighting import Lighting
from etchscope.imaging.normalise import Normalisation
from etchscope.preselect.calibrate import Calibration
from etchscope.preselect.detect import detect
from etchscope.preselect.learned import Finder, LearnedConstants, find_openings
from etchscope.preselect.settings import FindSettings

__all__ = ["ClassicalDetector", "Columns", "Detector", "LearnedDetector", "detect_tiles"]

Columns = dict[str, NDArray[Any]]
"""Columns of the pit table that a tile alone tells, and ``mate``: the row of the other opening of a
steep pair that was one find, or −1."""


class Detector(Protocol):
    """A finder with all that it needs to know of a scan."""

    def __call__(self, raw: RawStack) -> Columns:
        """Return the finds of one tile's (channel, y, x) grey levels."""


@dataclass(frozen=True)
class ClassicalDetector:
    """Responses, peaks and shapes: see ``detect``."""

    normalisation: Normalisation = field(repr=False)
    calibration: Calibration = field(repr=False)
    lighting: Lighting
    settings: FindSettings

    def __call__(self, raw: RawStack) -> Columns:
        """Return the finds of one tile."""
        found = detect(raw, self.normalisation, self.calibration, self.lighting, self.settings)
        return {str(name): found[name].to_numpy() for name in found.columns}


@dataclass(frozen=True)
class LearnedDetector:
    """A network's openings: see ``find_openings``. Depths are in µm where the scale is known."""

    normalisation: Normalisation = field(repr=False)
    lighting: Lighting
    finder: Finder
    constants: LearnedConstants
    settings: FindSettings
    pixel_size_um: float | None

    def __call__(self, raw: RawStack) -> Columns:
        """Return the finds of one tile."""
        columns = find_openings(raw, self.normalisation, self.lighting, self.finder, self.constants)
        um = np.nan if self.pixel_size_um is None else self.pixel_size_um
        columns["depth_um"] = columns.pop("depth_px") * um
        columns["depth_um_err"] = columns.pop("depth_px_err") * um
        return columns


def detect_tiles(tiles: Iterable[tuple[int, RawStack]], detector: Detector) -> pd.DataFrame:
    """Return the finds of several tiles, one after the other, with a column ``tile``.

    Parameters
    ----------
    tiles : number and pictures of each tile, at least one; only one is held at a time.

    Raises
    ------
    BadInput : the pictures do not fit what the detector knows of the scan.
    """
    parts: list[Columns] = []
    for number, raw in tiles:
        columns = detector(raw)
        parts.append({**columns, "tile": np.full(len(columns["x_px"]), number)})
    # One table of many tiles costs as much to make as one of a single tile.
    return pd.DataFrame({k: np.concatenate([part[k] for part in parts]) for k in parts[0]})
