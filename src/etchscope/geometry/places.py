"""Places on the foil: which labels, of whatever scan, speak of one, and regions of them."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from etchscope.foil.types import Ints

__all__ = ["places_of", "regions_of"]


def places_of(labels: pd.DataFrame, reach_mm: float) -> Ints:
    """Return the number of the place that each label speaks of, (n,).

    Labels of different scans are of one place where they are nearer than the reach, whatever side
    they are of, or where they are one label; those of one scan are of different places.

    Parameters
    ----------
    labels : ``frame`` (foil or stack whose frame x and y are in), ``scan``, ``id``, ``x_mm, y_mm``
        (nan where unknown).
    reach_mm : what two scans, sides or foils of a stack may differ by.
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
    # A region labels many finds of a scan, a point one of each.
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


def regions_of(labels: pd.DataFrame, place: Ints, cell_mm: tuple[float, float]) -> Ints:
    """Return the region of each label, (n,): a cell of the foil; all labels of a place in one.

    Where a place on the foil is not known, the tile of its scan is its region.

    Parameters
    ----------
    labels : as for ``places_of``, with ``tile``.
    place : (n,) of ``places_of``.
    cell_mm : width and height of a cell: of a tile, so that a region has as many labels as one.
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
