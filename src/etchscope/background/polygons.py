"""The area inside polygons, spread over a grid exactly."""

from collections.abc import Sequence

import numpy as np

from etchscope.background.grid import MapGrid, spline_shares
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats

__all__ = ["inside_polygons", "polygon_area"]

_STRIPS_PER_CELL = 4


def inside_polygons(x: Floats, y: Floats, polygons: Sequence[Floats]) -> Bools:
    """Return which points lie inside an odd number of polygons, (n,) bool.

    A polygon inside another is therefore a hole.

    Parameters
    ----------
    x, y : (n,) points.
    polygons : (m, 2) corners each, m ≥ 3.
    """
    inside = np.zeros(len(x), bool)
    for x0, y0, x1, y1 in _edges(polygons).tolist():
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def _edges(polygons: Sequence[Floats]) -> Floats:
    """Return x and y of the begin and of the end of each edge, (n, 4).

    Raises
    ------
    BadInput : no polygon, or one without three finite corners.
    """
    for polygon in polygons:
        if polygon.ndim != 2 or polygon.shape[1:] != (2,) or len(polygon) < 3:
            raise BadInput("window", "polygons of three or more corners", f"{polygon.shape}")
        if not np.isfinite(polygon).all():
            raise BadInput("window", "finite corners", "a corner that is no number")
    if not polygons:
        raise BadInput("window", "at least one polygon", "none")
    return np.concatenate([np.hstack([p, np.roll(p, -1, axis=0)]) for p in polygons])


def polygon_area(polygons: Sequence[Floats], grid: MapGrid) -> Floats:
    """Return the area inside polygons in each cell of a grid, see ``bin_points``.

    Each strip along x, a quarter of a cell or less, has its exact length; strips begin and end at
    the corners. What is inside an even number of polygons does not count.

    Parameters
    ----------
    polygons : (m, 2) corners each, in the unit of the grid.

    Returns
    -------
    (rows, columns) float64 in the unit squared.

    Raises
    ------
    BadInput : no polygon, or one without three finite corners.
    """
    rows, columns = grid.shape
    edges = _edges(polygons)
    low, high = edges[:, 1].min(), edges[:, 1].max()
    regular = np.arange(rows * _STRIPS_PER_CELL + 1) / _STRIPS_PER_CELL - 0.5
    ends = np.unique(np.concatenate([grid.y0 + grid.step * regular, edges[:, 1]]))
    ends = ends[(ends >= low) & (ends <= high)]
    middle, thick = (ends[1:] + ends[:-1]) / 2, np.diff(ends)
    x0, y0, x1, y1 = edges.T
    crosses = (y0 > middle[:, None]) != (y1 > middle[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        x = (x1 - x0) * (middle[:, None] - y0) / (y1 - y0) + x0
    x = np.sort(np.where(crosses, x, np.inf), axis=1)[:, : int(crosses.sum(axis=1).max())]
    along = np.zeros((len(middle), columns))
    for k in range(x.shape[1]):
        # Sorted crossings begin and end intervals in turn; each adds the length to its left.
        left = _spline_integral((x[:, k, None] - grid.x) / grid.step)
        along += np.where(np.isfinite(x[:, k, None]), (1 if k % 2 else -1) * left, 0.0)
    along *= grid.step * thick[:, None]
    row, shares = spline_shares((middle - grid.y0) / grid.step)
    out = np.zeros(grid.shape)
    for i in range(3):
        np.add.at(out, np.clip(row + i - 1, 0, rows - 1), along * shares[i][:, None])
    return out


def _spline_integral(s: Floats) -> Floats:
    """Return the integral of the quadratic B-spline of unit area up to a place."""
    t = np.clip(s, -1.5, 1.5)
    tail = (1.5 - abs(t)) ** 3 / 6
    return np.where(abs(t) < 0.5, 0.5 + 0.75 * t - t**3 / 3, np.where(t < 0, tail, 1 - tail))
