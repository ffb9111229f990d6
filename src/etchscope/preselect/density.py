"""The local density of pits, from their number where they are few and from their area in a crowd.

In a crowd pits hide each other, so the number of pits that are found levels off, while the area
that they cover continues to grow. If openings of mean area ā lie at random with density λ, they
cover the fraction c = 1 − exp(−λ ā), whatever their shapes (Boolean model; Hall, Introduction to
the Theory of Coverage Processes, 1988, 1.1).
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from scipy.special import gammaincinv

from etchscope.foil.types import Bools, Floats

__all__ = ["Density", "are_too_crowded", "density_beyond", "local_density", "pit_density"]

_COUNTED, _COVERED = 0.1, 0.3
"""Covered fraction up to which pits are counted, and from which their density follows from their
area; between the two, both enter. Up to the first, hidden pits and false finds balance; at the
second, every tenth pit is hidden."""
_LOST_AREA = 0.72
"""Relative excess of the mean area of found pits over that of all pits, per covered fraction; small
pits are hidden first. Measured on simulated foils of the reference optics with 100 to 5,000 pits
per tile."""
_AREA_ERROR = 0.08
"""Relative error of the mean area, from the scatter of that measurement."""
_FULL = 0.99
"""Greatest covered fraction from which a density is computed."""
_EXPLAINED = 0.6
"""Least share of the pits of a crowd that must be found; with fewer finds it is too crowded."""


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
    """Return the density of pits at some places.

    The counts and the area of the tiles, in cells of a quarter of the scale, are smoothed with the
    same Gaussian. Their ratio needs no correction at the edges of the scan and at missing tiles.

    Parameters
    ----------
    counted : (n, 2) x and y of the pits.
    at : (m, 2) x and y of the places.
    rectangles : (k, 4) first x, last x, first y and last y of each tile.
    scale : standard deviation of the Gaussian; all lengths are in one unit.
    own : True if each place is one of the pits, which is then not counted at its own place; or the
        number of pits not to be counted at each place, (m,), where each pit has the weight of the
        Gaussian at its distance, relative to that at distance 0.

    Returns
    -------
    (m,) float64 per unit of length squared.
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
    """Return the density around some pits of the pits that cannot be of the same particle.

    The other opening of a particle, whether it was found as the partner or not, lies within the
    reach of a pair and would raise the density where pits are few. What is nearer than the reach is
    therefore left out, in number and in area.

    Parameters
    ----------
    counted, at, rectangles, scale : as for ``local_density``.
    reach : largest displacement from entry to exit pit, in the same unit.

    Returns
    -------
    (m,) float64 per unit of length squared.
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
    """Density of pits at n places with its 95 % interval, each (n,) float64.

    ``value``, ``low`` and ``high`` are per unit of length squared. ``by_area`` is the weight of the
    covered area in the value, 0 to 1; the rest is the weight of the counted pits.
    """

    value: Floats
    low: Floats
    high: Floats
    by_area: Floats


def pit_density(counted: Floats, covered: Floats, radius: Floats, scale: float) -> Density:
    """Return the density of pits from their number and the area that they cover.

    Parameters
    ----------
    counted : (n,) local density of found pits at each of them, see ``density_beyond``.
    covered : (n,) covered fraction around each, 0 to 1; where it is nan, only the number counts.
    radius : (n,) radius of each.
    scale : standard deviation of the Gaussian with which ``counted`` was smoothed; all lengths are
        in one unit.
    """
    c = np.clip(np.nan_to_num(covered), 0, _FULL)
    area = np.pi * radius**2 * (1 - _LOST_AREA * c)
    mean_area = float(area.mean()) if len(area) else 1.0
    by_area = np.clip((c - _COUNTED) / (_COVERED - _COUNTED), 0, 1)
    value = (1 - by_area) * counted - by_area * np.log1p(-c) / mean_area
    # A mean with Gaussian weights has the Poisson error of the number within an area 4 π scale².
    seen = 4 * np.pi * scale**2
    low, high = gammaincinv(value * seen, 0.025) / seen, gammaincinv(value * seen + 1, 0.975) / seen
    error = 1.96 * _AREA_ERROR * by_area * value
    low = np.where(value > 0, value - np.hypot(value - low, error), 0.0)
    return Density(value, np.maximum(low, 0.0), value + np.hypot(high - value, error), by_area)


def are_too_crowded(counted: Floats, density: Density) -> Bools:
    """Return where the found pits cannot explain the fraction of the picture that pits cover.

    Parameters
    ----------
    counted : (n,) local density of found pits.
    density : the density of all pits, see ``pit_density``.

    Returns
    -------
    (n,) bool.
    """
    return np.asarray((density.by_area == 1) & (counted < _EXPLAINED * density.value))
