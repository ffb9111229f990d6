"""The cells of the sheet, so that any worker can draw any part of a foil, at any magnification.

The sheet is an endless plane in millimetres, y up, seen from the front. It is cut into square
cells, and each cell has random streams of its own.
"""

import numpy as np

from etchscope.foil.types import Floats
from etchscope.simulation.populations import REFERENCE_TILE_MM2, Density

__all__ = ["CELL_MM", "Cell", "draw_places", "first_number", "list_cells", "make_stream"]

Cell = tuple[int, int]
"""(i, j): the square from (i, j) times ``CELL_MM`` on; either may be negative."""
CELL_MM = 4.0
"""Side of a cell."""
_SUBCELLS = 8  # the density is constant over a cell's eighth


def list_cells(x_mm: Floats, y_mm: Floats, reach_mm: float) -> list[Cell]:
    """Return the cells within reach of the box around points of the sheet, column by column."""
    i = range(_index(x_mm.min() - reach_mm), _index(x_mm.max() + reach_mm) + 1)
    j = range(_index(y_mm.min() - reach_mm), _index(y_mm.max() + reach_mm) + 1)
    return [(a, b) for a in i for b in j]


def _index(mm: float) -> int:
    return int(np.floor(mm / CELL_MM))


def make_stream(seed: int, what: int, cell: Cell) -> np.random.Generator:
    """Return a cell's random stream for one kind of particle or mark, of number ``what``."""
    return np.random.default_rng([seed, what, cell[0] % 2**32, cell[1] % 2**32])


def first_number(cell: Cell) -> int:
    """Return the first number of a cell's particles or marks; a cell has 2²⁰, all below 2⁵³."""
    return ((cell[0] % 2**15) * 2**15 + cell[1] % 2**15) * 2**20


def draw_places(
    rng: np.random.Generator, cell: Cell, per_tile: float, density: Density | None
) -> tuple[Floats, Floats]:
    """Return (x_mm, y_mm), each (n,), of a Poisson process in one cell.

    Parameters
    ----------
    per_tile : mean number in the area of a reference tile.
    density : relative density over the sheet, constant in each sub-cell; None for an even one.
    """
    side = CELL_MM / _SUBCELLS
    j, i = (k.ravel() for k in np.mgrid[:_SUBCELLS, :_SUBCELLS])
    left, low = cell[0] * CELL_MM + i * side, cell[1] * CELL_MM + j * side
    rate = np.full(len(i), per_tile * side**2 / REFERENCE_TILE_MM2)
    if density is not None:
        rate = rate * density.at(left + side / 2, low + side / 2)
    of = np.repeat(np.arange(len(i)), rng.poisson(rate))
    return left[of] + rng.uniform(0, side, len(of)), low[of] + rng.uniform(0, side, len(of))
