"""The area that tiles cover together, and the parts of a tile."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from etchscope.foil.records import Scan
from etchscope.foil.types import Bools, Floats, Ints
from etchscope.geometry.frames import foil_frame, in_polygon

__all__ = ["area_cm2", "part_of_tile"]

_CELLS = 40
"""Cells along each side of a tile."""


def area_cm2(scan: Scan, tiles: Sequence[int], region: Floats | None = None) -> float:
    """Return the area that tiles cover together, in cm².

    Where tiles overlap, the area counts once. Each tile is divided into 40 × 40 cells. The area is
    nan without a pixel size, without positions on the stage, or without a tile.

    Parameters
    ----------
    tiles : numbers of the tiles; numbers that the scan does not have are ignored.
    region : (m, 2) float64 polygon in foil mm; only the area inside it counts.
    """
    numbers = set(tiles)
    chosen = [t for t in scan.tiles if t.number in numbers]
    if scan.pixel_size_um is None or any(t.stage_x_mm is None for t in chosen) or not chosen:
        return float("nan")
    height, width = (n * scan.pixel_size_um / 1000 for n in scan.image_size)
    cell = np.array([width, height]) / _CELLS
    corner = np.array([(t.stage_x_mm, t.stage_y_mm) for t in chosen], float)
    corner -= np.array([width, height]) / 2
    first = np.rint((corner - corner.min(0)) / cell).astype(int)
    covered: Bools = np.zeros(first.max(0) + _CELLS, bool)
    for x, y in first.tolist():
        covered[x : x + _CELLS, y : y + _CELLS] = True
    if region is not None:
        at = corner.min(0) + (np.argwhere(covered) + 0.5) * cell
        x_mm, y_mm = foil_frame(scan).from_stage(at[:, 0], at[:, 1])
        return float(in_polygon(x_mm, y_mm, region).sum() * cell.prod() / 100)
    return float(covered.sum() * cell.prod() / 100)


def part_of_tile(x_px: ArrayLike, y_px: ArrayLike, image_size: tuple[int, int], parts: int) -> Ints:
    """Return the part of its tile in which each place lies, (n,) int64, row by row from 0 on.

    A place outside the picture belongs to the nearest part, nan to part 0.

    Parameters
    ----------
    x_px, y_px : (n,) places in the picture, y down.
    image_size : (height, width) in pixels.
    parts : number of parts along each side.

    >>> part_of_tile([0.0, 15.0, 15.0], [0.0, 0.0, 9.0], (10, 20), 2)
    array([0, 1, 3])
    """
    column, row = (
        (parts * (np.asarray(at, np.float64) + 0.5) / size).clip(0, parts - 1)
        for at, size in zip((x_px, y_px), image_size[::-1], strict=True)
    )
    return np.asarray(parts * np.nan_to_num(row).astype(int) + np.nan_to_num(column).astype(int))
