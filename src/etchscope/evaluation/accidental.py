"""The number of matches that unrelated points would make, from local densities.

One mean density for all places would give too few matches, because points of both lists gather in
the same places.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull, Delaunay, KDTree, QhullError
from scipy.stats import poisson

from etchscope.evaluation.matching import Rule
from etchscope.foil import BadInput
from etchscope.foil.types import Bools, Floats

__all__ = ["Accidental", "accidental_matches", "convex_hull", "in_hull", "local_rate"]

_INNER = 3.0  # inner radius in tolerances; true partners and their copies are nearer
_NEIGHBOURS = 20  # mean number of others in the ring
_DIRECTIONS = 16


@dataclass(frozen=True)
class Accidental:
    """The number of matches that unrelated lists would make.

    ``expected`` is its mean; in 95 % of cases it lies in [``low``, ``high``] (Poisson).
    """

    expected: float
    low: float
    high: float

    @classmethod
    def of(cls, expected: float) -> "Accidental":
        """Return a mean with the range in which 95 % of counts lie.

        Parameters
        ----------
        expected : the mean, at least 0.
        """
        low, high = poisson.ppf([0.025, 0.975], expected)
        return cls(float(expected), float(low), float(high))

    def to_dict(self) -> dict[str, float]:
        """Return the figures for JSON."""
        return {"expected": self.expected, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{self.expected:.1f} [{self.low:.0f}, {self.high:.0f}]"


def convex_hull(xy: Floats) -> Any:
    """Return the convex hull of points for ``in_hull``; None if they lie on a line.

    Parameters
    ----------
    xy : (n, 2) points in one unit.
    """
    try:
        return Delaunay(xy[ConvexHull(xy).vertices])
    except (QhullError, ValueError):
        return None


def in_hull(xy: Floats, of: Any) -> Bools:
    """Return which points lie inside a hull, (n,) bool.

    Parameters
    ----------
    xy : (n, 2) points.
    of : see ``convex_hull``; None contains all points.
    """
    if of is None or not len(xy):
        return np.ones(len(xy), bool)
    return np.asarray(of.find_simplex(xy) >= 0)


def local_rate(at_xy: ArrayLike, others_xy: ArrayLike, tolerance: float) -> Floats:
    """Return the expected number of unrelated others closer than the tolerance to each point.

    The density is counted in a ring around the point that leaves out a true partner: from three
    tolerances to the radius at which it holds 20 others on average. The part of a ring outside the
    convex hull of the others does not count as area.

    Parameters
    ----------
    at_xy : (n, 2) places.
    others_xy : (m, 2) the other list, in the same frame and unit.
    tolerance : in that unit, above 0.

    Returns
    -------
    (n,) float64, at least 0; 0 everywhere for fewer than three others.

    Raises
    ------
    BadInput : the tolerance is not positive.
    """
    at, others = (np.asarray(xy, float).reshape(-1, 2) for xy in (at_xy, others_xy))
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise BadInput("tolerance", "a positive number", f"{tolerance}")
    if not len(at) or len(others) < 3:
        return np.zeros(len(at))
    outline = convex_hull(others)
    area = ConvexHull(others).volume if outline is not None else float(np.ptp(others) ** 2)
    inner = _INNER * tolerance
    outer = np.sqrt(inner**2 + _NEIGHBOURS * area / (np.pi * len(others)))
    tree = KDTree(others)
    counts = [tree.query_ball_point(at, r, return_length=True) for r in (outer, inner)]
    ring = np.pi * (outer**2 - inner**2) * _covered(at, (inner + outer) / 2, outline)
    density = (counts[0] - counts[1]) / np.maximum(ring, np.pi * (outer**2 - inner**2) / 20)
    return np.asarray(density * np.pi * tolerance**2)


def _covered(at: Floats, radius: float, outline: Any) -> Floats:
    """Return the share of a circle around each point that lies inside the outline, (n,)."""
    phi = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    rim = radius * np.column_stack([np.cos(phi), np.sin(phi)])
    inside = in_hull((at[:, None] + rim).reshape(-1, 2), outline)
    return np.asarray(inside.reshape(-1, _DIRECTIONS).mean(axis=1))


def accidental_matches(
    truth_xy: ArrayLike, found_xy: ArrayLike, tolerance: float, *, rule: Rule = "nearest"
) -> Accidental:
    """Return how many truths would have a match if the lists were unrelated.

    A pit that a list holds twice, from the overlap of tiles, counts twice: drop copies before.

    Each truth has a match with probability 1 − exp(−μ), μ from ``local_rate``. Under ``one-to-one``
    truths cannot have more matches than found points have, so the result is the smaller of both
    sums: an upper bound where many points compete.

    Parameters
    ----------
    truth_xy, found_xy : (n, 2) and (m, 2) places in one frame and unit.
    tolerance : in that unit, above 0.
    rule : see ``matching.match``.

    Raises
    ------
    BadInput : the tolerance is not positive.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> one, other = rng.uniform(0, 100, (2, 1000, 2))
    >>> 60 < accidental_matches(one, other, 0.5).expected < 100
    True
    """
    expected = _hits(truth_xy, found_xy, tolerance)
    if rule == "one-to-one":
        expected = min(expected, _hits(found_xy, truth_xy, tolerance))
    return Accidental.of(expected)


def _hits(at_xy: ArrayLike, others_xy: ArrayLike, tolerance: float) -> float:
    return float(-np.expm1(-local_rate(at_xy, others_xy, tolerance)).sum())
