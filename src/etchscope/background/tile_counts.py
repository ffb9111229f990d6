"""The map of a scan whose tiles have no positions: one cell per tile."""

import numpy as np

from etchscope.background.density_maps import CROWDED_SHARE, DensityMap, reasons_of
from etchscope.background.grid import MapGrid
from etchscope.background.hidden import Corrected, EfficiencyCurve, HiddenPits
from etchscope.background.kernel_density import rate_interval
from etchscope.foil.types import Floats, Ints

__all__ = ["map_tiles"]


def map_tiles(
    count: Ints,
    crowded: Ints,
    seen: Floats,
    columns: int,
    *,
    hidden: HiddenPits | EfficiencyCurve | None = None,
    part_of: DensityMap | None = None,
    variance: float = 1.0,
) -> DensityMap:
    """Return the density of pits on each tile, with the tiles row by row in a grid.

    Neighbours in the grid need not be neighbours on the foil, so nothing is smoothed; the bandwidth
    is 0.

    Parameters
    ----------
    count, crowded : (n,) found pits of each tile, and those that the finder calls too crowded.
    seen : (n,) seen share of each tile, 0 to 1. Densities are per tile.
    columns : of the grid.
    hidden, part_of : see ``map_density``.
    variance : of the number of pits per mean, see ``PitPoints``.
    """
    rows = -(-len(count) // columns)
    grid = MapGrid(0.0, 0.0, 1.0, (rows, columns), "tile")
    empty = (0, rows * columns - len(count))
    counts: Ints = np.pad(count, empty).reshape(grid.shape)
    flagged: Ints = np.pad(crowded, empty).reshape(grid.shape)
    share: Floats = np.pad(seen, empty).reshape(grid.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit: Floats = np.where(share > 0, 1 / share, np.nan)
    value: Floats = counts * unit
    low, high = rate_interval(value, variance * unit)
    if part_of is not None:
        corrected = part_of.all_pits.of_part(value, low, high)
        is_crowded = part_of.crowded
    else:
        undo = Corrected.of_found if hidden is None else hidden.undo
        corrected = undo(value, low, high)
        is_crowded = flagged > CROWDED_SHARE * counts
    reason = reasons_of(corrected.known, is_crowded, np.where(share > 0, 1.0, 0.0))
    return DensityMap(
        grid, counts, share, value, corrected, reason, 0.0, is_adaptive=False, variance=variance
    )
