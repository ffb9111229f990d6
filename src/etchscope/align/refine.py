"""The best transform near a rough one. Pairs enter with the probability that they are true.

Each moving point has, with some probability, one partner among the fixed points, at a distance with
a Gaussian distribution. All other fixed points are unrelated and have a local density. Expectation
and maximisation alternate and give the weights of the pairs, the transform and the width of the
Gaussian (A. Myronenko and X. Song, IEEE Trans. Pattern Anal. Mach. Intell. 32 (2010) 2262, section
4, with a background of the local density instead of a uniform one).
"""

from dataclasses import dataclass
from itertools import count

import numpy as np
from scipy.spatial import KDTree

from etchscope.evaluation import local_rate
from etchscope.foil.types import Floats
from etchscope.geometry import Similarity, fit_similarity

__all__ = ["Fit", "refine_transform"]

_REACH = 3.5  # greatest distance of a pair in standard deviations
_ITERATIONS = 60
"""Greatest number of iterations, unless the spread still narrows by a tenth in each."""


@dataclass(frozen=True)
class Fit:
    """A fitted transform.

    Attributes
    ----------
    transform : the transform from the moving to the fixed frame.
    spread_mm : standard deviation of the distance of a true pair along each axis.
    share : share of the moving points that have a partner.
    """

    transform: Similarity
    spread_mm: float
    share: float


def refine_transform(
    fixed: Floats,
    moving: Floats,
    start: Similarity,
    spread_mm: float,
    *,
    least_spread_mm: float = 0.002,
    max_scale_error: float = 0.02,
) -> Fit:
    """Return the fit that starts from a rough transform.

    Parameters
    ----------
    fixed, moving : (n, 2) and (m, 2) float64 points in mm.
    start : the transform from moving to fixed, correct within ``spread_mm``.
    spread_mm : standard deviation of the distances at the start, and their upper limit.
    least_spread_mm : lower limit of the standard deviation, so that the fit does not rest on two
        points alone.
    max_scale_error : greatest deviation of the scale from 1.

    Raises
    ------
    BadInput : see ``fit_similarity``.
    """
    tree = KDTree(fixed)
    transform, spread, share, widest = start, spread_mm, 0.5, spread_mm
    density = local_rate(start.apply(moving), fixed, spread_mm) / (np.pi * spread_mm**2)
    density = np.maximum(density, 1e-3 * max(float(density.mean()), 1e-12))
    for iteration in count(1):
        moved = transform.apply(moving)
        pairs = KDTree(moved).sparse_distance_matrix(tree, _REACH * spread, output_type="ndarray")
        i, j, distance = pairs["i"], pairs["j"], pairs["v"]
        if len(i) < 3:
            break
        gauss = np.exp(-(distance**2) / (2 * spread**2)) / (2 * np.pi * spread**2)
        odds = share * gauss / density[i]
        weight = odds / (1 - share + np.bincount(i, odds, len(moving)))[i]
        if (weight > 1e-9).sum() < 3:
            break
        fitted = fit_similarity(moving[i], fixed[j], weight, mirrored=start.mirrored)
        if abs(fitted.scale - 1) > max_scale_error:
            fitted = fit_similarity(
                moving[i], fixed[j], weight, mirrored=start.mirrored, fixed_scale=True
            )
        step = float(np.abs(fitted.apply(moving) - moved).max())
        transform = fitted
        wide = np.sqrt(float((weight * distance**2).sum() / (2 * weight.sum())))
        narrowed = float(np.clip(wide, max(least_spread_mm, 0.5 * spread), widest))
        share = float(np.clip(weight.sum() / len(moving), 1e-4, 1 - 1e-4))
        done = step < 1e-5 and abs(narrowed - spread) < 1e-3 * spread
        done |= iteration >= _ITERATIONS and narrowed > 0.9 * spread
        spread = narrowed
        if done:
            break
    return Fit(transform, spread, share)
