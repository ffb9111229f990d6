"""Two halves of a foil: thresholds are chosen on one and measured on the other."""

import numpy as np

from etchscope.evaluation.search import Search
from etchscope.foil.types import Bools, Floats

__all__ = ["searched_tiles", "split_halves", "split_search"]

_SPLITS = 6
"""Greatest number of times that the tiles are halved by place; it gives 64 blocks."""
_SURE_SPLITS = 4
"""Number of times that they are halved even if blocks have fewer than four tiles then."""


def searched_tiles(search: Search) -> Bools:
    """Return which tiles there are, (t,) bool: searched, or with a candidate or a particle.

    Parameters
    ----------
    search : a search of t tiles.
    """
    return np.asarray(
        (search.exposure > 0)
        | (np.bincount(search.tile, minlength=len(search.exposure)) > 0)
        | (np.bincount(search.particle_tile, minlength=len(search.exposure)) > 0)
    )


def split_halves(place: Floats) -> Bools:
    """Return which tiles belong to the second half, (t,) bool.

    The tiles are halved by place along their longer side again and again, into 16 to 64 blocks of
    neighbours. A half is every second block, as on a chessboard: neighbours are mostly in one half,
    and both halves have their share of a gradient over the foil.

    Parameters
    ----------
    place : (t, 2) middles of the tiles, in any unit.

    Examples
    --------
    >>> row = np.column_stack([np.arange(32), np.zeros(32)])
    >>> "".join(str(int(h)) for h in split_halves(row))
    '00111100110000111100001100111100'
    """
    second = np.zeros(len(place), bool)
    blocks = [np.arange(len(place))]
    for level in range(_SPLITS):
        parts = []
        for block in blocks:
            if len(block) < (2 if level < _SURE_SPLITS else 8):
                parts.append(block)
                continue
            longer = int(np.argmax(np.ptp(place[block], axis=0)))
            ordered = block[np.lexsort((place[block, 1 - longer], place[block, longer]))]
            first, rest = np.array_split(ordered, 2)
            second[rest] ^= True
            parts += [first, rest]
        blocks = parts
    return second


def split_search(search: Search) -> tuple[Bools, Bools]:
    """Return the tiles of the first and of the second half of a search, each (t,) bool.

    Tiles of unknown place are taken as one row.
    """
    own = searched_tiles(search)
    place: Floats = np.column_stack([np.arange(len(own), dtype=np.float64), np.zeros(len(own))])
    if search.ground is not None:
        place = search.ground.place
    second = np.zeros(len(own), bool)
    second[own] = split_halves(place[own])
    return own & ~second, own & second
