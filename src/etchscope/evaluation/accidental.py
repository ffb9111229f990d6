"""How many matches unrelated points would make, from the local densities.

A density that is the same everywhere expects too few, because points gather where others do.
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

__all__ = ["Accidental", "accidental_matches", "hull", "in_hull", "local_rate"]

_INNER = 3.0  # in tolerances: no true partner, nor its copy in the next tile, is so far
_NEIGHBOURS = 20  # others in the ring, on average
_DIRECTIONS = 16


@dataclass(frozen=True)
class Accidental:
    """The number of matches that unrelated lists would make.

    ``expected``: its mean. ``low, high``: in 95 % of cases it lies between, with both (Poisson).
    """

    expected: float
    low: float
    high: float

    @classmethod
    def of(cls, expected: float) -> "Accidental":
        """Return a mean with the range of what is counted."""
        low, high = poisson.ppf([0.025, 0.975], expected)
        return cls(float(expected), float(low), float(high))

    def to_dict(self) -> dict[str, float]:
        """Return the figures for JSON."""
        return {"expected": self.expected, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{self.expected:.1f} [{self.low:.0f}, {self.high:.0f}]"


def hull(xy: Floats) -> Any:
    """Return the convex hull of points for ``in_hull``; None where they have none (a line)."""
    try:
        return Delaunay(xy[ConvexHull(xy).vertices])
    except (QhullError, ValueError):
        return None


def in_hull(xy: Floats, of: Any) -> Bools:
    """Return which points lie inside a hull; all of them where there is no hull."""
    if of is None or not len(xy):
        return np.ones(len(xy), bool)
    return np.asarray(of.find_simplex(xy) >= 0)


def local_rate(at_xy: ArrayLike, others_xy: ArrayLike, tolerance: float) -> Floats:
    """Return the expected number of unrelated others closer than the tolerance, at each point.

    The density is counted in a ring that leaves out a true partner: from three tolerances to
    where the ring holds 20 others on average. The part of a ring outside the convex hull of the
    others is no area.

    Parameters
    ----------
    at_xy : (n, 2) places.
    others_xy : (m, 2) the other list, in the same frame and unit.
    tolerance : in that unit, above 0.

    Returns
    -------
    (n,) at least 0; 0 everywhere where there are no others.

    Raises
    ------
    BadInput : the tolerance is not positive.
    """
    at, others = (np.asarray(xy, float).reshape(-1, 2) for xy in (at_xy, others_xy))
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise BadInput("tolerance", "a positive number", f"{tolerance}")
    if not len(at) or len(others) < 3:
        return np.zeros(len(at))
    outline = hull(others)
    area = ConvexHull(others).volume if outline is not None else float(np.ptp(others) ** 2)
    inner = _INNER * tolerance
    outer = np.sqrt(inner**2 + _NEIGHBOURS * area / (np.pi * len(others)))
    tree = KDTree(others)
    counts = [tree.query_ball_point(at, r, return_length=True) for r in (outer, inner)]
    ring = np.pi * (outer**2 - inner**2) * _covered(at, (inner + outer) / 2, outline)
    density = (counts[0] - counts[1]) / np.maximum(ring, np.pi * (outer**2 - inner**2) / 20)
    return np.asarray(density * np.pi * tolerance**2)


def _covered(at: Floats, radius: float, outline: Any) -> Floats:
    """Return which part of a circle around each point lies inside the outline."""
    phi = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    rim = radius * np.column_stack([np.cos(phi), np.sin(phi)])
    inside = in_hull((at[:, None] + rim).reshape(-1, 2), outline)
    return np.asarray(inside.reshape(-1, _DIRECTIONS).mean(axis=1))


def accidental_matches(
    truth_xy: ArrayLike, found_xy: ArrayLike, tolerance: float, *, rule: Rule = "nearest"
) -> Accidental:
    """Return how many truths would have a match if the lists had nothing to do with each other.

    Pits that a list has twice, from the overlap of tiles, count as two: merge them first.

    Each truth has one with probability 1 − exp(−μ), μ from ``local_rate``. Under ``one-to-one``
    no more truths match than the found points that have one: the smaller of both sums, which is
    an upper bound where many compete.

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
