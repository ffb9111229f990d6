"""Two views of one surface: through the air, and through the foil from its other side."""

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from etchscope.foil.types import Floats, Ints
from etchscope.preselect.openings import Shapes

__all__ = ["find_offset", "merge_views"]

_REACH_PX = 25.0
"""Greatest offset of a view against the other."""
_SIGMAS = 6.0
"""Excess of matches, in standard deviations, from which an offset is believed."""
_SAME_PX = 6.0
"""Distance below which two views show one opening."""


def find_offset(first: Floats, second: Floats) -> Floats:
    """Return the vector by which a list of places must be moved to lie on another, (2,).

    It is the peak of the density of differences. Where no peak stands out, it is 0.

    Parameters
    ----------
    first, second : (n, 2) and (m, 2) places in px; the second ones are to be moved.

    Examples
    --------
    >>> xy = np.random.default_rng(1).uniform(0, 500, (300, 2))
    >>> find_offset(xy, xy + [3.0, -4.0]).round(1).tolist()
    [-3.0, 4.0]
    """
    if not len(first) or not len(second):
        return np.zeros(2)
    near = cKDTree(first).sparse_distance_matrix(cKDTree(second), _REACH_PX, output_type="ndarray")
    apart = first[near["i"]] - second[near["j"]]
    edges = np.linspace(-_REACH_PX, _REACH_PX, int(4 * _REACH_PX) + 1)
    counts, _, _ = np.histogram2d(apart[:, 0], apart[:, 1], bins=(edges, edges))
    smooth = gaussian_filter(counts, 2.0)
    peak = np.unravel_index(int(smooth.argmax()), smooth.shape)
    usual = float(np.median(smooth[smooth > 0])) if len(apart) else 0.0
    # A Gaussian of two bins averages over 4 π 2² of them.
    spread = np.sqrt(max(usual, 1e-3) / (16 * np.pi))
    if smooth[peak] - usual < _SIGMAS * spread:
        return np.zeros(2)
    middle = np.array([(edges[k] + edges[k + 1]) / 2 for k in peak])
    close = np.hypot(*(apart - middle).T) < 2.0
    return np.asarray(np.median(apart[close], axis=0))


def merge_views(near: Shapes, far: Shapes) -> tuple[Shapes, Ints]:
    """Return the openings of a surface from two views: those of the near one, and what it lacks.

    The far view is moved onto the near one first.

    Parameters
    ----------
    near : openings as the scan of this side shows them.
    far : openings as the scan of the other side shows them through the foil.

    Returns
    -------
    The n + k openings, and (k,) int64 rows of the far view that were added.
    """
    places = [np.column_stack([s.x, s.y]) for s in (near, far)]
    moved = places[1] + find_offset(*places)
    apart = np.full(len(moved), np.inf)
    if len(places[0]) and len(moved):
        apart = cKDTree(places[0]).query(moved)[0]
    rows = np.flatnonzero(apart > _SAME_PX)
    lacking = vars(far.take(rows)) | {"x": moved[rows, 0], "y": moved[rows, 1]}
    both = {k: np.concatenate([v, lacking[k]]) for k, v in vars(near).items()}
    return Shapes(**both), rows
