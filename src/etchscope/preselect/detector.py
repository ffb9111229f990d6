"""The protocol of finders: they take the pictures of a tile and return the columns of its finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.foil.types import Bools, RawStack
from etchscope.imaging.ground import usable_area_px
from etchscope.imaging.lighting import Lighting
from etchscope.imaging.lights import explain_unsearchable
from etchscope.imaging.normalise import Normalisation
from etchscope.preselect.calibrate import Calibration
from etchscope.preselect.detect import detect_openings
from etchscope.preselect.finder import Finder
from etchscope.preselect.learned import LearnedConstants, find_openings
from etchscope.preselect.settings import FindSettings

__all__ = [
    "ClassicalDetector",
    "Columns",
    "Detector",
    "Ground",
    "LearnedDetector",
    "Searched",
    "detect_tiles",
    "keep_on_ground",
]

_LEAST_COLUMNS = {
    "surface": "str",
    **dict.fromkeys(("x_px", "y_px", "radius_px", "entry", "exit", "hip"), "float64"),
    **dict.fromkeys(("flags", "mate", "tile"), "int64"),
}
"""Columns of a table without finds, and their dtypes."""

Columns = dict[str, NDArray[Any]]
"""The columns of the pit table that follow from one tile, each (n,), and ``mate``, the row of the
other opening of a steep pair that was found as one, or −1."""


class Detector(Protocol):
    """A finder together with the constants of a scan."""

    def __call__(self, raw: RawStack) -> Columns:
        """Return the finds of one tile from its (channel, y, x) grey levels."""


@dataclass(frozen=True)
class ClassicalDetector:
    """The classical finder for one scan; see ``detect_openings``."""

    normalisation: Normalisation = field(repr=False)
    calibration: Calibration = field(repr=False)
    lighting: Lighting
    settings: FindSettings

    def __call__(self, raw: RawStack) -> Columns:
        """Return the finds of one tile; raises as ``detect_openings``."""
        return detect_openings(
            raw, self.normalisation, self.calibration, self.lighting, self.settings
        )


@dataclass(frozen=True)
class LearnedDetector:
    """The learned finder for one scan; see ``find_openings``.

    Depths are in micrometres; they are nan without a pixel size.
    """

    normalisation: Normalisation = field(repr=False)
    lighting: Lighting
    finder: Finder
    constants: LearnedConstants
    settings: FindSettings
    pixel_size_um: float | None

    def __call__(self, raw: RawStack) -> Columns:
        """Return the finds of one tile; raises as ``find_openings``."""
        columns = find_openings(
            raw,
            self.normalisation,
            self.lighting,
            self.finder,
            self.constants,
            self.settings,
        )
        um = np.nan if self.pixel_size_um is None else self.pixel_size_um
        columns["depth_um"] = columns.pop("depth_px") * um
        columns["depth_um_err"] = columns.pop("depth_px_err") * um
        return columns


Ground = Callable[[int, RawStack], Bools]
"""A function from the number and the pictures of a tile to its pixels to be searched, (y, x)."""


@dataclass(frozen=True)
class Searched:
    """The finds of some tiles, and the parts that were not searched.

    Attributes
    ----------
    table : the finds with a column ``tile``, one tile after the other.
    usable_px : number of pixels that were searched, for each tile.
    off_foil : number of finds that were removed because they lie outside the ground to be searched.
    left_out : for each tile that could not be searched, the reason in words.
    """

    table: pd.DataFrame
    usable_px: dict[int, int]
    off_foil: int
    left_out: dict[int, str]


def keep_on_ground(columns: Columns, ground: Bools) -> Columns:
    """Return the finds whose centres lie on ground to be searched, with ``mate`` renumbered.

    Parameters
    ----------
    columns : the finds of one tile.
    ground : (y, x) bool; a centre beyond the edge of the tile belongs to the nearest pixel.
    """
    height, width = ground.shape
    x = np.rint(columns["x_px"]).astype(np.int64).clip(0, width - 1)
    y = np.rint(columns["y_px"]).astype(np.int64).clip(0, height - 1)
    keep = np.flatnonzero(ground[y, x])
    number = np.full(len(x) + 1, -1)
    number[keep] = np.arange(len(keep))
    out = {name: values[keep] for name, values in columns.items()}
    out["mate"] = number[out["mate"]]
    return out


def detect_tiles(
    tiles: Iterable[tuple[int, RawStack]], detector: Detector, ground: Ground | None = None
) -> Searched:
    """Return the finds of several tiles.

    Parameters
    ----------
    tiles : number and (channel, y, x) grey levels of each tile; only one is held in memory.
    detector : the finder with the constants of the scan.
    ground : where to search; without it, everywhere.

    Raises
    ------
    BadInput : the pictures do not fit the constants of the scan.
    """
    parts: list[Columns] = []
    usable: dict[int, int] = {}
    off_foil, left_out = 0, {}
    for number, raw in tiles:
        why = explain_unsearchable(raw)
        if why is not None:
            left_out[number], usable[number] = why, 0
            continue
        columns = detector(raw)
        where = np.ones(raw.shape[1:], bool) if ground is None else ground(number, raw)
        kept = keep_on_ground(columns, where)
        usable[number] = usable_area_px(where)
        off_foil += len(columns["x_px"]) - len(kept["x_px"])
        parts.append({**kept, "tile": np.full(len(kept["x_px"]), number)})
    # It takes as long to make one table of many tiles as one of a single tile.
    parts = parts or [{k: np.empty(0, dtype) for k, dtype in _LEAST_COLUMNS.items()}]
    table = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    return Searched(pd.DataFrame(table), usable, off_foil, left_out)
