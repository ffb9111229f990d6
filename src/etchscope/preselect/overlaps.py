"""Pits that two tiles saw: one row for each, the copy farthest from its tile's edge."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from etchscope.foil.types import Floats, Ints

__all__ = ["merge_copies"]


def _mutual_copies(place: Floats, tile: Ints, surface: Ints, reach: float) -> Ints:
    """Return (k, 2) rows that are each other's nearest pit of the same surface in another tile."""
    pairs = cKDTree(place).query_pairs(reach, output_type="ndarray")
    i, j = pairs[:, 0], pairs[:, 1]
    could = (tile[i] != tile[j]) & (surface[i] == surface[j])
    i, j = i[could], j[could]
    both = pd.DataFrame({"one": np.r_[i, j], "other": np.r_[j, i]})
    apart = place[both["one"]] - place[both["other"]]
    both["distance"] = np.hypot(apart[:, 0], apart[:, 1])
    nearest = both.sort_values(["one", "distance", "other"]).drop_duplicates("one")
    back = dict(zip(nearest["one"].tolist(), nearest["other"].tolist(), strict=True))
    return np.array([(a, b) for a, b in back.items() if a < b and back[b] == a], np.int64).reshape(
        -1, 2
    )


def merge_copies(place: Floats, tile: Ints, surface: Ints, margin_px: Floats, reach: float) -> Ints:
    """Return, per row, the row that stands for it: itself, unless it is a copy of a better one.

    Parameters
    ----------
    place : (n, 2) positions in one frame for all tiles.
    tile : (n,) tile numbers.
    surface : (n,) codes of the surface; copies are of one surface.
    margin_px : (n,) distance from the tile's edge; the copy with the larger one stays.
    reach : copies are nearer than that, in the unit of ``place``.

    Returns
    -------
    (n,) int64.
    """
    stands = np.arange(len(place))
    if not len(place):
        return stands
    alive = np.arange(len(place))
    while True:  # a pit in the corner of four tiles takes two rounds
        copies = alive[_mutual_copies(place[alive], tile[alive], surface[alive], reach)]
        if not len(copies):
            return stands
        first = margin_px[copies[:, 0]] >= margin_px[copies[:, 1]]
        kept = np.where(first, copies[:, 0], copies[:, 1])
        gone = np.where(first, copies[:, 1], copies[:, 0])
        stands[gone] = kept
        stands = stands[stands]
        alive = np.setdiff1d(alive, gone)
