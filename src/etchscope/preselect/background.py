"""What unrelated openings look like: the density of the shapes on one surface of a foil."""

import numpy as np
from scipy.special import ive

from etchscope.foil.types import Floats, Ints
from etchscope.preselect.openings import Shapes

__all__ = ["log_background_density"]

_KERNELS = 384
"""Finds of a surface that stand for all of it."""
_RADIUS_WIDTH = 0.12
"""Of a kernel, in log radius."""
_ELLIPSE_WIDTH = (0.01, 0.05)
"""Of a kernel in ellipse, least and most, between which Scott's rule for two dimensions decides:
wider ones would make round openings, which all are to a finder that sees little, rarer than they
are."""
_TAIL = (0.1, 2.5)
"""Share of a kernel that is wider, and by how much: rare shapes are not impossible ones."""
_ANY, _PSEUDO = (0.5, 0.2), 20.0
"""Spread of the openings of any foil in log radius and ellipse, and as how many finds they
count."""


def log_background_density(shapes: Shapes, rows: Ints) -> Floats:
    """Return the logarithm of the density of a surface's shapes, at these; (len(rows),).

    A sum of kernels on some of the other finds, whatever the directions of their long axes, and of
    one for openings of any foil, which counts as much as ``_PSEUDO`` finds.
    """
    out = np.empty(len(rows))
    if not len(rows):
        return out
    few = rows[np.linspace(0, len(rows) - 1, min(len(rows), _KERNELS)).round().astype(np.int64)]
    radius, e = shapes.log_radius, shapes.ellipticity
    usual = np.array([np.median(radius[rows])]), np.zeros(1)
    spread = float(np.sqrt(np.mean(e[rows] ** 2) / 2))
    narrow = _RADIUS_WIDTH, float(np.clip(spread * len(few) ** (-1 / 6), *_ELLIPSE_WIDTH))
    for part in np.array_split(np.arange(len(rows)), len(rows) // 4096 + 1):
        mine = rows[part]
        at = radius[mine], e[mine]
        total = np.zeros(len(part))
        for share, wider in ((1 - _TAIL[0], 1.0), _TAIL):
            width = tuple(w * wider for w in narrow)
            each = _kernel(at, (radius[few], e[few]), width)
            each[mine[:, None] == few] = 0.0
            total += share * each.sum(1)
        broad = _kernel(at, usual, _ANY)[:, 0]
        count = len(few) - np.isin(mine, few)
        out[part] = np.log((total + _PSEUDO * broad) / (count + _PSEUDO))
    return out


def _kernel(
    at: tuple[Floats, Floats],
    centre: tuple[Floats, Floats],
    width: tuple[float, ...],
) -> Floats:
    """Return (n, m) normal densities in log radius, e_cos and e_sin.

    Parameters
    ----------
    at, centre : log radius and ellipticity of n places and of m kernels, the mean over all
        directions of whose long axes is taken.
    """
    q2 = np.zeros((len(at[0]), len(centre[0])))
    for x, c, w in zip(at, centre, width, strict=True):
        q2 += ((x[:, None] - c) / w) ** 2
    turned = ive(0, at[1][:, None] * centre[1] / width[1] ** 2)
    norm = width[0] * width[1] ** 2 * (2 * np.pi) ** 1.5
    # ive holds a factor exp(−e c / w²), which completes the square of the ellipticities.
    return np.asarray(np.exp(-q2 / 2) * turned / norm)
