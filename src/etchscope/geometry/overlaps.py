"""Pits in overlaps of tiles: of the copies of a pit, that farthest from its tile's edge stays."""

import numpy as np
from scipy.spatial import cKDTree

from etchscope.foil.types import Bools, Floats, Ints

__all__ = ["are_better_seen_elsewhere", "merge_copies"]


def _candidates(place: Floats, tile: Ints, surface: Ints, reach: float) -> Ints:
    """Return (k, 2) pairs of rows of one surface and of two tiles within reach, nearest first."""
    pairs = cKDTree(place).query_pairs(reach, output_type="ndarray")
    i, j = pairs[:, 0], pairs[:, 1]
    could = (tile[i] != tile[j]) & (surface[i] == surface[j])
    i, j = i[could], j[could]
    apart = place[i] - place[j]
    order = np.lexsort((j, i, np.hypot(apart[:, 0], apart[:, 1])))
    return np.column_stack([i, j])[order]


def merge_copies(place: Floats, tile: Ints, surface: Ints, margin_px: Floats, reach: float) -> Ints:
    """Return for each row the row that stays for it: itself, unless it is a copy of another one.

    The nearest rows are joined first. All copies of a pit are within reach of each other and come
    from different tiles, so two pits of one tile are never joined, not even through a third row.

    Parameters
    ----------
    place : (n, 2) positions in one frame for all tiles.
    tile : (n,) tile numbers.
    surface : (n,) codes of the surface; copies are of one surface.
    margin_px : (n,) distance from the tile's edge; the copy with the largest one stays.
    reach : largest distance of two copies, in the unit of ``place``.

    Returns
    -------
    (n,) int64.
    """
    stands = np.arange(len(place))
    if not len(place):
        return stands
    near = [(i, j) for i, j in _candidates(place, tile, surface, reach).tolist()]
    allowed = {*near, *((j, i) for i, j in near)}
    copies = {row: [row] for pair in near for row in pair}
    for i, j in near:
        one, other = copies[i], copies[j]
        if one is not other and all((a, b) in allowed for a in one for b in other):
            one += other
            copies |= dict.fromkeys(other, one)
    for rows in copies.values():
        stands[rows] = max(rows, key=lambda row: (margin_px[row], -row))
    return stands


def are_better_seen_elsewhere(
    place: Floats, tile: Ints, margin_px: Floats, numbers: Ints, rectangles: Floats
) -> Bools:
    """Return which points lie farther, by over a pixel, from the edge of another tile, (n,) bool.

    Parameters
    ----------
    place : (n, 2) positions in pixels in one frame for all tiles.
    tile, margin_px : (n,) tile in which each point was found, and its distance from that tile's
        edge.
    numbers : (k,) numbers of the tiles of ``rectangles``.
    rectangles : (k, 4) first x, last x, first y and last y of each tile, in the same frame.
    """
    best = np.full(len(place), -np.inf)
    x, y = place[:, 0], place[:, 1]
    for number, (x0, x1, y0, y1) in zip(numbers.tolist(), rectangles.tolist(), strict=True):
        margin = np.minimum.reduce([x - x0, x1 - x, y - y0, y1 - y])
        best = np.where(tile == number, best, np.maximum(best, margin))
    return np.asarray(best > margin_px + 1)
