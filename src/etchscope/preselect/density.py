"""The local density of pits, corrected for where the scan ends and which tiles are missing."""

import numpy as np
from scipy.ndimage import gaussian_filter

from etchscope.foil.types import Floats

__all__ = ["local_density"]


def _coverage(edges_x: Floats, edges_y: Floats, rectangles: Floats) -> Floats:
    """Return the fraction of each cell that any tile covers, (y, x)."""
    out = np.zeros((len(edges_y) - 1, len(edges_x) - 1))
    for x0, x1, y0, y1 in rectangles.tolist():
        across = np.diff(np.clip(edges_x, x0, x1)) / np.diff(edges_x)
        along = np.diff(np.clip(edges_y, y0, y1)) / np.diff(edges_y)
        i, j = np.flatnonzero(along), np.flatnonzero(across)
        window = np.ix_(i, j)
        out[window] = np.maximum(out[window], np.outer(along[i], across[j]))
    return out


def local_density(
    counted: Floats, at: Floats, rectangles: Floats, scale: float, *, own: bool
) -> Floats:
    """Return the density of some pits at some places.

    Counts and covered area, in cells of a quarter of the scale, are smoothed alike by a Gaussian
    of that scale; their ratio needs no correction at the scan's edges and missing tiles.

    Parameters
    ----------
    counted : (n, 2) x, y of the pits whose density is asked for.
    at : (m, 2) where it is asked for.
    rectangles : (k, 4) tiles as first x, last x, first y, last y.
    scale : standard deviation of the Gaussian; all lengths are in one unit.
    own : whether each of ``at`` is itself among ``counted``, and not to be counted there.

    Returns
    -------
    (m,) per unit of length squared.
    """
    if not len(at):
        return np.empty(0)
    cell, margin = scale / 4, 4 * scale
    edges = [
        np.arange(rectangles[:, k].min() - margin, rectangles[:, k + 1].max() + margin + cell, cell)
        for k in (0, 2)
    ]
    counts, _, _ = np.histogram2d(counted[:, 1], counted[:, 0], bins=(edges[1], edges[0]))
    area = gaussian_filter(_coverage(edges[0], edges[1], rectangles), 4.0, mode="constant")
    smooth = gaussian_filter(counts, 4.0, mode="constant")
    itself = 0.0
    if own:
        unit = np.zeros((33, 33))
        unit[16, 16] = 1
        itself = float(gaussian_filter(unit, 4.0, mode="constant")[16, 16])
    i = np.clip(np.searchsorted(edges[1], at[:, 1], side="right") - 1, 0, len(edges[1]) - 2)
    j = np.clip(np.searchsorted(edges[0], at[:, 0], side="right") - 1, 0, len(edges[0]) - 2)
    density = (smooth[i, j] - itself) / (np.maximum(area[i, j], 0.05) * cell**2)
    return np.asarray(np.maximum(density, 0.0))
