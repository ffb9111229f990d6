"""The distribution of the shapes of unrelated openings on one surface of a foil."""

import numpy as np
from scipy.special import ive

from etchscope.foil.types import Floats, Ints
from etchscope.preselect.openings import Shapes

__all__ = ["log_background_density"]

_KERNELS = 384
"""Largest number of finds of a surface that serve as centres of kernels."""
_RADIUS_WIDTH = 0.12
"""Width of a kernel in log radius."""
_ELLIPSE_WIDTH = (0.01, 0.05)
"""Least and greatest width of a kernel in e_cos and e_sin. Between them Scott's rule for two
dimensions decides. Wider kernels would underestimate the density of round openings, and a finder
that sees little states that all openings are round."""
_TAIL = (0.1, 2.5)
"""Share of each kernel that is wider, and the factor by which it is wider. It keeps the density of
rare shapes above 0."""
_ANY, _PSEUDO = (0.5, 0.2), 20.0
"""Spread of the openings of any foil in log radius and in e_cos and e_sin, and the number of finds
as which they count."""


def log_background_density(shapes: Shapes, rows: Ints) -> Floats:
    """Return the logarithm of the density of the shapes on a surface at each of its finds.

    The density is that in log radius, e_cos and e_sin. It is a sum of kernels on some of the other
    finds, averaged over the directions of their long axes, and of one wide kernel for openings of
    any foil, which counts as much as ``_PSEUDO`` finds.

    Parameters
    ----------
    shapes : all openings.
    rows : (m,) int64 rows of the openings on the surface.

    Returns
    -------
    (m,) float64 natural logarithms.
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
    """Return normal densities in log radius, e_cos and e_sin, (n, m).

    They are means over all directions of the kernels' long axes.

    Parameters
    ----------
    at, centre : log radius and ellipticity of the n points and of the m kernels.
    """
    q2 = np.zeros((len(at[0]), len(centre[0])))
    for x, c, w in zip(at, centre, width, strict=True):
        q2 += ((x[:, None] - c) / w) ** 2
    turned = ive(0, at[1][:, None] * centre[1] / width[1] ** 2)
    norm = width[0] * width[1] ** 2 * (2 * np.pi) ** 1.5
    # ive contains the factor exp(−e c / w²), which completes the square of the ellipticities.
    return np.asarray(np.exp(-q2 / 2) * turned / norm)
