"""A grid of cells over a foil, and what is spread over its cells."""

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.types import Floats, Ints

__all__ = [
    "GridUnit",
    "MapGrid",
    "bin_points",
    "grid_over",
    "rebin",
    "sample_points",
    "spline_shares",
]

GridUnit = Literal["mm", "px", "tile"]
"""Foil or tile millimetres, pixels of the only tile, or the places of tiles in a grid of tiles."""
_MOST_CELLS = 16_000_000


@dataclass(frozen=True)
class MapGrid:
    """A grid of square cells.

    Parameters
    ----------
    x0, y0 : centre of the first cell.
    step : side of a cell; all lengths are in ``unit``.
    shape : (rows, columns); x grows with the column and y with the row.
    unit : of the lengths. In mm y points up, in px and tiles down.
    """

    x0: float
    y0: float
    step: float
    shape: tuple[int, int]
    unit: GridUnit = "mm"

    @property
    def x(self) -> Floats:
        """Centres of the columns, (columns,) float64."""
        return self.x0 + self.step * np.arange(self.shape[1], dtype=np.float64)

    @property
    def y(self) -> Floats:
        """Centres of the rows, (rows,) float64."""
        return self.y0 + self.step * np.arange(self.shape[0], dtype=np.float64)

    @property
    def cell_area(self) -> float:
        """Area of a cell in the unit squared."""
        return self.step**2

    def coarser(self, times: int) -> "MapGrid":
        """Return the grid with cells that are a whole number of times as wide."""
        rows, columns = (-(-(n - 1) // times) + 1 for n in self.shape)
        return MapGrid(self.x0, self.y0, self.step * times, (rows, columns), self.unit)


def grid_over(
    bounds: tuple[float, float, float, float], step: float, unit: GridUnit = "mm"
) -> MapGrid:
    """Return the grid whose cells cover a box, with two more cells on each side.

    Parameters
    ----------
    bounds : least x, greatest x, least y and greatest y.
    step : side of a cell, in the same unit.

    Raises
    ------
    BadInput : the grid would have more than 16 million cells.

    Examples
    --------
    >>> grid_over((0.0, 1.0, 0.0, 2.0), 0.5).shape
    (8, 6)
    """
    x0, x1, y0, y1 = bounds
    columns, rows = (max(int(np.ceil(s / step - 1e-6)), 1) + 4 for s in (x1 - x0, y1 - y0))
    if rows * columns > _MOST_CELLS:
        found = f"{rows:,} × {columns:,}"
        hint = "Choose a larger bandwidth."
        raise BadInput("density map", f"{_MOST_CELLS:,} cells at most", found, hint)
    return MapGrid(x0 - 1.5 * step, y0 - 1.5 * step, step, (rows, columns), unit)


def bin_points(x: Floats, y: Floats, grid: MapGrid, weight: Floats | None = None) -> Floats:
    """Return the sum of the weights in each cell, where a point is shared by 3 × 3 cells.

    The share is a quadratic B-spline of the distance from the centre of a cell. It keeps the centre
    of gravity of the points, and adds a variance of step² / 4 along each axis, wherever a point
    lies in its cell (Hockney & Eastwood, Computer Simulation Using Particles, 1988, 5.3). Points
    outside the grid are left out; there should be an empty cell around the others.

    Parameters
    ----------
    x, y : (n,) in the unit of the grid.
    weight : (n,), 1 each unless given.

    Returns
    -------
    (rows, columns) float64.
    """
    out = np.zeros(grid.shape)
    of_points = np.ones(1) if weight is None else np.ascontiguousarray(weight, np.float64)
    at_x, at_y = (np.ascontiguousarray(v, np.float64) for v in (x, y))
    _add_points(out, at_x, at_y, of_points, grid.x0, grid.y0, grid.step)
    return out


@numba.njit(nogil=True, cache=True)
def _add_points(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    out, x, y, weight, x0, y0, step
):
    rows, columns = out.shape
    for k in range(len(x)):
        u, v = (x[k] - x0) / step, (y[k] - y0) / step
        if not (-0.5 <= u <= columns - 0.5 and -0.5 <= v <= rows - 0.5):
            continue
        column, row = int(np.floor(u + 0.5)), int(np.floor(v + 0.5))
        a, b = u - column, v - row
        w = weight[k] if len(weight) > 1 else weight[0]
        along = (0.5 * (0.5 - b) ** 2, 0.75 - b * b, 0.5 * (0.5 + b) ** 2)
        across = (0.5 * (0.5 - a) ** 2, 0.75 - a * a, 0.5 * (0.5 + a) ** 2)
        for i in range(3):
            at_row = min(max(row + i - 1, 0), rows - 1)
            for j in range(3):
                at_column = min(max(column + j - 1, 0), columns - 1)
                out[at_row, at_column] += w * along[i] * across[j]


def rebin(values: Floats, grid: MapGrid, times: int) -> Floats:
    """Return values of the grid binned on a coarser grid, see ``bin_points``.

    Parameters
    ----------
    values : (rows, columns) of the grid.
    times : width of the new cells in old ones, see ``MapGrid.coarser``.
    """
    if times == 1:
        return values
    row, column = np.nonzero(values)
    return bin_points(grid.x[column], grid.y[row], grid.coarser(times), values[row, column])


def sample_points(values: Floats, x: Floats, y: Floats, grid: MapGrid) -> Floats:
    """Return values at points, (n,) float64, with the shares of ``bin_points``.

    Parameters
    ----------
    values : (rows, columns) of the grid, smooth over a few cells.
    x, y : (n,) in the unit of the grid; a point beyond the grid has the value of the nearest cell.
    """
    rows, columns = grid.shape
    row, along = spline_shares(np.clip((y - grid.y0) / grid.step, 0, rows - 1))
    column, across = spline_shares(np.clip((x - grid.x0) / grid.step, 0, columns - 1))
    out = np.zeros(len(x))
    for i in range(3):
        at = np.clip(row + i - 1, 0, rows - 1)
        for j in range(3):
            out += along[i] * across[j] * values[at, np.clip(column + j - 1, 0, columns - 1)]
    return out


def spline_shares(at: Floats) -> tuple[Ints, Floats]:
    """Return the nearest cell of each place, (n,), and the shares of three cells around, (3, n).

    Parameters
    ----------
    at : (n,) places in units of cells, 0 at the centre of the first.
    """
    cell = np.floor(at + 0.5)
    a = at - cell
    shares = np.array([0.5 * (0.5 - a) ** 2, 0.75 - a**2, 0.5 * (0.5 + a) ** 2])
    return cell.astype(np.int64), shares
