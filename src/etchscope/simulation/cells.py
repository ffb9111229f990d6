"""The sheet's cells: any part of a foil can be drawn alone, by any worker, at any magnification.

The sheet is an endless plane in millimetres, y up, seen from the front, cut into square cells. Each
cell has random streams of its own.
"""

import numpy as np

from etchscope.foil.types import Floats
from etchscope.simulation.populations import REFERENCE_TILE_MM2, Density

__all__ = ["CELL_MM", "Cell", "first_number", "places", "stream"]

Cell = tuple[int, int]
"""(i, j): the square from (i, j) times ``CELL_MM`` on; either may be negative."""
CELL_MM = 4.0
_SUBCELLS = 8  # the density is constant over a cell's eighth


def stream(seed: int, what: int, cell: Cell) -> np.random.Generator:
    """Return a cell's random stream for one kind of thing; indices of cells may be negative."""
    return np.random.default_rng([seed, what, cell[0] % 2**32, cell[1] % 2**32])


def first_number(cell: Cell) -> int:
    """Return where a cell's numbers start; those of no other cell come near (all below 2⁵³)."""
    return ((cell[0] % 2**15) * 2**15 + cell[1] % 2**15) * 2**20


def places(
    rng: np.random.Generator, cell: Cell, per_tile: float, density: Density | None
) -> tuple[Floats, Floats]:
    """Return (x_mm, y_mm) of a Poisson process in one cell, its density constant per sub-cell."""
    side = CELL_MM / _SUBCELLS
    j, i = (k.ravel() for k in np.mgrid[:_SUBCELLS, :_SUBCELLS])
    left, low = cell[0] * CELL_MM + i * side, cell[1] * CELL_MM + j * side
    rate = np.full(len(i), per_tile * side**2 / REFERENCE_TILE_MM2)
    if density is not None:
        rate = rate * density.at(left + side / 2, low + side / 2)
    of = np.repeat(np.arange(len(i)), rng.poisson(rate))
    return left[of] + rng.uniform(0, side, len(of)), low[of] + rng.uniform(0, side, len(of))
