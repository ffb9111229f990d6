"""The local density of pits: counted where they are few, from the area they cover in a crowd.

In a crowd pits hide each other, and their number found levels off. The area that they cover goes
on to grow: of openings of mean area ā that lie at random with density λ the covered fraction is
c = 1 − exp(−λ ā) (Boolean model; Hall, Introduction to the Theory of Coverage Processes, 1988,
1.1), whatever their shapes.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from scipy.special import gammaincinv

from etchscope.foil.types import Bools, Floats

__all__ = ["Density", "are_too_crowded", "density_beyond", "local_density", "pit_density"]

_COUNTED, _COVERED = 0.1, 0.3
"""Covered fractions up to which pits are counted, and from which their area tells; between, both:
up to the first hidden pits and false finds balance, from the second every tenth pit is hidden."""
_LOST_AREA = 0.72
"""By how much the mean area of found pits exceeds that of all, per covered fraction: the small ones
are hidden first. Measured on simulated foils of the reference optics, 100 to 5,000 pits a tile."""
_AREA_ERROR = 0.08
"""Relative error of the mean area: what is left of that measurement's scatter."""
_FULL = 0.99
"""The covered fraction never counts as more: beyond, it says nothing of the density."""
_EXPLAINED = 0.6
"""Least share of a crowd's pits that must be found for the finds to explain the picture."""


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
    counted: Floats, at: Floats, rectangles: Floats, scale: float, *, own: bool | Floats
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
    own : whether each of ``at`` is itself among ``counted``, and not to be counted there; or how
        many are not, (m,), those at a distance reckoned less.

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
    unit = np.zeros((33, 33))
    unit[16, 16] = 1
    itself = gaussian_filter(unit, 4.0, mode="constant")[16, 16] * np.asarray(own, float)
    i = np.clip(np.searchsorted(edges[1], at[:, 1], side="right") - 1, 0, len(edges[1]) - 2)
    j = np.clip(np.searchsorted(edges[0], at[:, 0], side="right") - 1, 0, len(edges[0]) - 2)
    density = (smooth[i, j] - itself) / (np.maximum(area[i, j], 0.05) * cell**2)
    return np.asarray(np.maximum(density, 0.0))


def density_beyond(
    counted: Floats, at: Floats, rectangles: Floats, scale: float, reach: float
) -> Floats:
    """Return the density round some pits of those that cannot be of the same particle, (m,).

    The other opening of a particle, found as its partner or not, lies within the reach of a pair
    and would count as a crowd where pits are few: what is nearer than that is left out, in number
    and in area alike.

    Parameters
    ----------
    reach : largest displacement from entry to exit pit; all else as for ``local_density``.
    """
    if not len(at):
        return np.empty(0)
    near = cKDTree(at).sparse_distance_matrix(cKDTree(counted), reach, output_type="ndarray")
    weight = np.exp(-(near["v"] ** 2) / (2 * scale**2))
    own = np.asarray(np.bincount(near["i"], weight, minlength=len(at)), np.float64)
    left = float(np.exp(-(reach**2) / (2 * scale**2)))
    return np.asarray(local_density(counted, at, rectangles, scale, own=own) / left)


@dataclass(frozen=True)
class Density:
    """Density of pits at some places, with its 95 % interval; all (n,) per unit of length squared.

    ``by_area`` is how much of it rests on the covered area, 0 to 1.
    """

    value: Floats
    low: Floats
    high: Floats
    by_area: Floats


def pit_density(counted: Floats, covered: Floats, radius: Floats, scale: float) -> Density:
    """Return the density of pits from their number and the area that they cover.

    Parameters
    ----------
    counted : (n,) local density of found pits at each of them, what is of its particle left out.
    covered : (n,) covered fraction round each, 0 to 1; nan where unknown: there pits are counted.
    radius : (n,) of each.
    scale : standard deviation of the Gaussian that ``counted`` was smoothed with; all lengths are
        in one unit.
    """
    c = np.clip(np.nan_to_num(covered), 0, _FULL)
    area = np.pi * radius**2 * (1 - _LOST_AREA * c)
    mean_area = float(area.mean()) if len(area) else 1.0
    by_area = np.clip((c - _COUNTED) / (_COVERED - _COUNTED), 0, 1)
    value = (1 - by_area) * counted - by_area * np.log1p(-c) / mean_area
    # A Gaussian's mean has the Poisson error of the number in 4 π scale².
    seen = 4 * np.pi * scale**2
    low, high = gammaincinv(value * seen, 0.025) / seen, gammaincinv(value * seen + 1, 0.975) / seen
    error = 1.96 * _AREA_ERROR * by_area * value
    low = np.where(value > 0, value - np.hypot(value - low, error), 0.0)
    return Density(value, np.maximum(low, 0.0), value + np.hypot(high - value, error), by_area)


def are_too_crowded(counted: Floats, density: Density) -> Bools:
    """Return where what was found cannot explain how much of the picture pits cover, (n,).

    Parameters
    ----------
    counted : (n,) local density of found pits.
    density : the density of all, ``pit_density``.
    """
    return np.asarray((density.by_area == 1) & (counted < _EXPLAINED * density.value))
