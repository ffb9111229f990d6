"""One protocol for all finders: the pictures of a tile in, the columns of its finds out."""

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
"""Columns of a table without finds."""

Columns = dict[str, NDArray[Any]]
"""Columns of the pit table that a tile alone tells, and ``mate``: the row of the other opening of a
steep pair that was one find, or −1."""


class Detector(Protocol):
    """A finder with all that it needs to know of a scan."""

    def __call__(self, raw: RawStack) -> Columns:
        """Return the finds of one tile's (channel, y, x) grey levels."""


@dataclass(frozen=True)
class ClassicalDetector:
    """Responses, peaks and shapes: see ``detect_openings``."""

    normalisation: Normalisation = field(repr=False)
    calibration: Calibration = field(repr=False)
    lighting: Lighting
    settings: FindSettings

    def __call__(self, raw: RawStack) -> Columns:
        """Return the finds of one tile."""
        return detect_openings(
            raw, self.normalisation, self.calibration, self.lighting, self.settings
        )


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
"""From number and pictures of a tile to where it is to be searched, (y, x)."""


@dataclass(frozen=True)
class Searched:
    """The finds of some tiles, and what was not searched.

    Attributes
    ----------
    table : the finds with a column ``tile``, one tile after the other.
    usable_px : tile → pixels that were searched.
    off_foil : finds that were taken away since they lie where nothing is to be searched.
    left_out : tile → why nothing could be found on its pictures, in words.
    """

    table: pd.DataFrame
    usable_px: dict[int, int]
    off_foil: int
    left_out: dict[int, str]


def keep_on_ground(columns: Columns, ground: Bools) -> Columns:
    """Return the finds whose centre lies on ground that is searched.

    Parameters
    ----------
    ground : (y, x) of the tile; a centre beyond the tile's edge belongs to the nearest pixel.
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
    tiles : number and pictures of each tile; only one is held at a time.
    ground : where to search; everywhere unless given.

    Raises
    ------
    BadInput : the pictures do not fit what the detector knows of the scan.
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
    # One table of many tiles costs as much to make as one of a single tile.
    parts = parts or [{k: np.empty(0, dtype) for k, dtype in _LEAST_COLUMNS.items()}]
    table = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    return Searched(pd.DataFrame(table), usable, off_foil, left_out)
