"""Places on the foil: which labels belong to one place, and which places to one region."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from etchscope.foil.types import Ints

__all__ = ["number_places", "number_regions"]


def number_places(labels: pd.DataFrame, reach_mm: float) -> Ints:
    """Return the number of the place to which each label belongs, (n,) int64.

    Labels of different scans belong to one place where they are nearer than the reach, on whatever
    side of the foil, or where they are the same label. Labels of one scan belong to different
    places.

    Parameters
    ----------
    labels : table with ``frame`` (the foil or stack in whose frame x and y are), ``scan``, ``id``,
        ``x_mm, y_mm`` (nan where unknown).
    reach_mm : largest distance of one place on two scans, sides or foils of a stack.
    """
    n = len(labels)
    scan = labels["scan"].to_numpy(object)
    one, other = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    at = labels[["x_mm", "y_mm"]].to_numpy(np.float64)
    known = np.isfinite(at).all(1)
    for frame in labels.loc[known, "frame"].unique():
        rows = np.flatnonzero(known & (labels["frame"] == frame).to_numpy())
        near = cKDTree(at[rows]).query_pairs(reach_mm, output_type="ndarray").astype(np.int64)
        one.append(rows[near[:, 0]])
        other.append(rows[near[:, 1]])
    # Labels with an id of their own are points; a region labels many finds of a scan.
    single = ~labels.duplicated(["scan", "id"], keep=False).to_numpy()
    lone = np.flatnonzero(single)
    number = labels["id"].astype("str").iloc[lone].factorize()[0]
    first = np.unique(number, return_index=True)[1]
    one.append(lone[first[number]])
    other.append(lone)
    i, j = np.concatenate(one), np.concatenate(other)
    apart = scan[i] != scan[j]
    i, j = i[apart], j[apart]
    graph = coo_matrix((np.ones(len(i)), (i, j)), (n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def number_regions(labels: pd.DataFrame, place: Ints, cell_mm: tuple[float, float]) -> Ints:
    """Return the number of the region of each label, (n,) int64; a region is a cell of the foil.

    All labels of a place have one region. Where the place on the foil is unknown, the region is
    the tile.

    Parameters
    ----------
    labels : as for ``number_places``, with ``tile``.
    place : (n,) place of each label, see ``number_places``.
    cell_mm : width and height of a cell; the size of a tile gives it about as many labels.
    """
    x, y = (labels[c].to_numpy(np.float64) for c in ("x_mm", "y_mm"))
    known = np.isfinite(x) & np.isfinite(y)
    cells = pd.DataFrame(
        {
            "of": np.where(known, labels["frame"], labels["scan"]),
            "known": known,
            "u": np.where(known, np.floor(np.nan_to_num(x) / cell_mm[0] + 0.5), labels["tile"]),
            "v": np.where(known, np.floor(np.nan_to_num(y) / cell_mm[1] + 0.5), 0),
        }
    )
    first = cells.groupby(place).transform("first")
    return np.asarray(first.groupby(list(first.columns)).ngroup(), np.int64)
